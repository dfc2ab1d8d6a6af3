//! A package in the cache.
use crate::gap::Fault;
use lock::Pypi;
use rustix::fs::Access;
use std::io;
use std::path::{Path, PathBuf};
use store::Entry;

/// A package that pixi would use.
#[derive(Debug)]
pub(crate) enum CacheEntry {
    /// A conda package's folder.
    Conda(Entry),
    /// An unpacked wheel, and the pointer that led to it.
    Wheel { archive: PathBuf, pointer: PathBuf },
    /// The folder of a source distribution and of the wheels built from it, and the file that led to it.
    Source { folder: PathBuf, revision: PathBuf },
    /// What was unpacked from a wheel built here, and the link that led to it.
    Built { archive: PathBuf, link: PathBuf },
}

/// What a look-up came to.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    pub(crate) found: Vec<CacheEntry>,
    pub(crate) fault: Option<Fault>,
}

impl CacheEntry {
    /// The folder that holds it.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Conda(entry) => &entry.folder,
            Self::Wheel { archive, .. } | Self::Built { archive, .. } => archive,
            Self::Source { folder, .. } => folder,
        }
    }

    /// The file outside of that folder which says what is in it.
    pub(crate) fn label(&self) -> &Path {
        match self {
            Self::Conda(entry) => &entry.sidecar,
            Self::Wheel { pointer, .. } => pointer,
            Self::Source { revision, .. } => revision,
            Self::Built { link, .. } => link,
        }
    }
}

/// Whether a folder is there; what keeps us from knowing is a fault of the package.
pub(crate) fn is_folder(path: &Path) -> Result<bool, Fault> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => Ok(false),
        Ok(_) => match child::permitted(path, Access::READ_OK | Access::EXEC_OK) {
            Ok(()) => Ok(true),
            Err(error) => Err(closed(path, &error.into())),
        },
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(closed(path, &error)),
    }
}

fn closed(path: &Path, error: &io::Error) -> Fault {
    Fault::new("damaged", path, format!("cannot be read: {}", tool::io_text(error)))
}

/// Why pixi would fetch it again: the hash in the lock is not one that was checked when it was fetched. A lock
/// without a hash takes any. Of several algorithms only the strongest counts.
pub(crate) fn unchecked(hashes: &[(String, String)], package: &Pypi) -> Option<String> {
    let sha256 = package.sha256.as_ref().map(|hex| ("Sha256", hex));
    let (kind, wanted) = sha256.or(package.md5.as_ref().map(|hex| ("Md5", hex)))?;
    let mut of_kind = hashes.iter().filter(|(has, _)| has == kind).map(|(_, hex)| hex).peekable();
    let first = of_kind.peek().copied();
    if of_kind.any(|hex| hex == wanted) {
        return None;
    }
    Some(match first {
        Some(other) => format!("it was fetched with {} {other}", kind.to_lowercase()),
        None => "no hash was checked when it was fetched, as with pixi before 0.71 or plain uv".to_owned(),
    })
}
