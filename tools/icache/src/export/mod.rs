//! A verified cache as a mirror: a conda channel and an index of wheels, packed again from what was unpacked. The archives are
//! not those of the lock file, which are gone, so that a project is locked against the mirror anew.
mod channel;
mod simple;

use crate::quick::{Found, Stores, look_up};
use lock::{Origin, Package};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What one read of a file asks for.
const BUFFER_BYTES: usize = 256 << 10;

/// Pack all of them into `dir`, beside what other exports put there. Those that are no archives to be had from a cache.
///
/// # Errors
/// It cannot be written, or a package not be read; [`io::ErrorKind::WouldBlock`] where another export is at work there.
pub(crate) fn export<'p>(
    dir: &Path,
    stores: &Stores,
    packages: impl Iterator<Item = &'p Package>,
) -> io::Result<Vec<&'p Package>> {
    std::fs::create_dir_all(dir)?;
    let held = File::open(dir)?;
    match flock(&held, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "another export is at work there"));
        }
        other => other?,
    }
    let (mut channel, mut index, mut left) =
        (channel::Channel::default(), simple::Index::default(), Vec::new());
    for package in packages {
        let found = look_up(stores, package).found;
        match (package, found.into_iter().next()) {
            (Package::Conda(conda), Some(Found::Conda(entry))) => channel.add(dir, conda, &entry)?,
            (Package::Pypi(pypi), Some(Found::Wheel { archive, .. })) => match pypi.wheel_name() {
                Some(name) => index.add(dir, &pypi.name, &name, &archive)?,
                None => left.push(package),
            },
            _ => left.push(package),
        }
    }
    channel.write(dir)?;
    index.write(dir)?;
    Ok(left)
}

/// Whether a package is one that is packed: another one is built, or lies in the template.
pub(crate) fn what(package: &Package) -> String {
    let kind = match package {
        Package::Conda(_) => "",
        Package::Pypi(pypi) => match pypi.origin {
            Origin::Sdist { .. } | Origin::DirectSdist { .. } => " (a source distribution)",
            Origin::Git { .. } => " (a git checkout)",
            _ => "",
        },
    };
    format!("{}{kind}", package.name())
}

/// A file that was written: its hash, hex, and its size.
struct Packed {
    sha256: String,
    size_bytes: u64,
}

/// Write a file beside its place, and give it its name when it is complete.
fn publish(to: &Path, fill: impl FnOnce(File) -> io::Result<()>) -> io::Result<Packed> {
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder)?;
    let mut name = std::ffi::OsString::from(".export-");
    name.push(to.file_name().unwrap_or_default());
    let draft = folder.join(name);
    let written = File::create(&draft).and_then(fill).and_then(|()| {
        let file = File::open(&draft)?;
        file.sync_all()?;
        let packed = Packed { size_bytes: file.metadata()?.len(), sha256: sha256_of(file)? };
        std::fs::rename(&draft, to)?;
        Ok(packed)
    });
    if written.is_err() {
        drop(std::fs::remove_file(&draft));
    }
    written
}

fn sha256_of(mut file: File) -> io::Result<String> {
    file.rewind()?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(crate::proof::hex(&hash.finalize())),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// Write a text in the same way.
fn publish_text(to: &Path, text: &str) -> io::Result<()> {
    publish(to, |mut file| file.write_all(text.as_bytes())).map(drop)
}

/// Every file and link below a folder, by its path there, in a fixed order.
fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// All that is kept of a mode.
fn mode(file: &File) -> io::Result<u32> {
    Ok(if file.metadata()?.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 })
}
