//! A conda package: `.conda`, a zip with two tars, or `.tar.bz2`.
use super::fetched::{BUFFER_BYTES, Fetched, unpack_to};
use archive::Root;
use lock::Conda;
use std::io::{self, BufReader, Read};
use std::path::Path;
use store::Entry;
use zip::ZipArchive;

/// Unpack it to its place and say beside it what archive that was.
pub(super) fn take(fetched: &Fetched, pkgs: &Path, package: &Conda) -> io::Result<()> {
    let entry = Entry::of(pkgs, package);
    let is_zip = package.archive_name().ends_with(".conda");
    unpack_to(&entry.folder, |folder| {
        let file = owner::open_file(&fetched.path)?;
        let mut root = Root::at(folder, folder)?.like_tar();
        if is_zip {
            return unzip(ZipArchive::new(file).map_err(io::Error::other)?, &mut root);
        }
        untar(bzip2::read::BzDecoder::new(file), &mut root)
    })?;
    std::fs::write(&entry.sidecar, Entry::sidecar_of(fetched.sha256))
}

/// `pkg-NAME.tar.zst` and `info-NAME.tar.zst`; its other members are ignored.
fn unzip(mut archive: ZipArchive<std::fs::File>, root: &mut Root) -> io::Result<()> {
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(io::Error::other)?;
        let name = file.name().map_err(io::Error::other)?.into_owned();
        if name.ends_with(".tar.zst") {
            untar(zstd::stream::read::Decoder::new(file)?, root)?;
        }
    }
    Ok(())
}

fn untar(tar: impl Read, root: &mut Root) -> io::Result<()> {
    let mut tar = BufReader::with_capacity(BUFFER_BYTES, tar);
    archive::unpack_tar(&mut tar, root)?;
    // To the end, where checksums are compared.
    io::copy(&mut tar, &mut io::sink()).map(drop)
}
