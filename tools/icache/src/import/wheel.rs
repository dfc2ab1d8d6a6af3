//! A wheel: unpacked to a folder with a random name, and a pointer to it where uv looks.
use super::fetched::{Fetched, unpack_to};
use crate::deep::record_paths;
use archive::Root;
use base16ct::lower::encode_string as hex;
use lock::{Origin, Pypi};
use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Pointer, Wheels};
use zip::ZipArchive;

/// Unpack it and point to it.
pub(super) fn take(fetched: &Fetched, wheels: &Wheels, package: &Pypi) -> io::Result<()> {
    let (Origin::Wheel { url, .. } | Origin::DirectWheel { url }) = &package.origin else {
        return Err(io::Error::other("it is a source distribution, which only pixi can take in"));
    };
    let known = |file: String| Pointer::name_of(&file, package);
    let wheel = package.wheel_name().and_then(known);
    let (Some(wheel), Some(path)) = (wheel, wheels.pointers(package).into_iter().next()) else {
        return Err(io::Error::other("its name is not a wheel's"));
    };
    let hashes = match &package.sha256 {
        Some(_) => vec![("Sha256".to_owned(), hex(&fetched.sha256))],
        None => Vec::new(),
    };
    let pointer = Pointer { archive: name(), hashes, wheel };
    unpack_to(&wheels.archive(&pointer), |folder| unzip(&fetched.path, folder))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let folder = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(folder)?;
    let draft = path.with_extension("bring");
    std::fs::write(&draft, pointer.encode(url, now)?)?;
    std::fs::rename(draft, path)
}

/// 16 letters, as uv makes them up.
fn name() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let random = || std::hash::RandomState::new().build_hasher().finish();
    let mut name = String::new();
    for mut bits in [random(), random()] {
        for _ in 0..8 {
            // The first letter of a name that a program is given should not make an option of it.
            let letters = if name.is_empty() { 52 } else { 64 };
            name.push(char::from(LETTERS[usize::try_from(bits % letters).unwrap_or_default()]));
            bits >>= 6;
        }
    }
    name
}

fn unzip(wheel: &Path, folder: &Path) -> io::Result<()> {
    let file = owner::open_file(wheel)?;
    archive::unpack_zip(&file, &mut Root::at(folder, folder)?.with_links_as_files())?;
    mend(folder, &files(file)?)
}

/// The files of a wheel that was unpacked, with their sizes.
fn files(wheel: File) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut archive = ZipArchive::new(wheel).map_err(io::Error::other)?;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(io::Error::other)?;
        if let Some(path) = file.enclosed_name().filter(|_| !file.is_dir()) {
            files.push((path, file.size()));
        }
    }
    Ok(files)
}

/// Add to RECORD what the wheel forgot there, as uv does: path and size, but no hash.
fn mend(folder: &Path, files: &[(PathBuf, u64)]) -> io::Result<()> {
    let is_record = |path: &Path| {
        path.file_name() == Some("RECORD".as_ref())
            && path.parent().is_some_and(|above| above.extension() == Some("dist-info".as_ref()))
    };
    let Some((record, _)) = files.iter().find(|(path, _)| is_record(path)) else {
        return Err(io::Error::other("it holds no RECORD"));
    };
    let path = folder.join(record);
    let text = owner::read_file(&path, 128 << 20)?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let listed: HashSet<PathBuf> = record_paths(&text).collect();
    let exempt = ["jws", "p7s"].map(|end| PathBuf::from(format!("{}.{end}", record.display())));
    let mut more = String::new();
    for (file, size) in files {
        if !listed.contains(file) && !exempt.contains(file) && file != record {
            more.push_str(&format!("{},,{size}\n", file.display()));
        }
    }
    if more.is_empty() {
        return Ok(());
    }
    let mut record = std::fs::OpenOptions::new().append(true).open(path)?;
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    record.write_all(format!("{newline}{more}").as_bytes())
}
