//! A conda package: `.conda`, a zip with two tars, or `.tar.bz2`.
use super::{Fetched, unpack_to};
use lock::Conda;
use std::io::{self, Read};
use std::path::Path;
use store::Entry;
use zip::ZipArchive;

/// Unpack it to its place and say beside it what archive that was.
pub(super) fn take(fetched: &Fetched, pkgs: &Path, package: &Conda) -> io::Result<()> {
    let entry = Entry::of(pkgs, package);
    let is_zip = package.archive_name().ends_with(".conda");
    unpack_to(&entry.folder, |folder| {
        let file = owner::open_file(&fetched.path)?;
        if is_zip {
            return unzip(ZipArchive::new(file).map_err(io::Error::other)?, folder);
        }
        untar(bzip2::read::BzDecoder::new(file), folder)
    })?;
    std::fs::write(&entry.sidecar, Entry::sidecar_of(fetched.sha256))
}

/// `pkg-NAME.tar.zst` and `info-NAME.tar.zst`; what else is in it is of no use.
fn unzip(mut archive: ZipArchive<std::fs::File>, folder: &Path) -> io::Result<()> {
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(io::Error::other)?;
        let name = file.name().map_err(io::Error::other)?.into_owned();
        if name.ends_with(".tar.zst") {
            untar(zstd::stream::read::Decoder::new(file)?, folder)?;
        }
    }
    Ok(())
}

fn untar(tar: impl Read, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    archive.set_preserve_permissions(true);
    archive.set_unpack_xattrs(false);
    archive.unpack(folder)
}
