//! The folder in the cache that pixi installs into: on the cache's own disk, so that it takes little room there.
use crate::place::refused;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tool::Failure;

const PREFIX: &str = ".warm-";

/// A folder `.warm-<nonce>`, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    /// An empty one. Whoever holds the lock may.
    pub(crate) fn make(root: &Path) -> Result<Self, Failure> {
        loop {
            let random = std::hash::RandomState::new().build_hasher().finish();
            let folder = root.join(format!("{PREFIX}{:04x}", random & 0xffff));
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(Self { folder }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(&folder, &error)),
            }
        }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Remove what killed runs left. With the lock held nobody else is at work.
pub(crate) fn sweep(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            log::info!("removing {}, which a killed iwarm left", entry.path().display());
            remove(&entry.path());
        }
    }
}

fn remove(folder: &Path) {
    let removed = std::fs::remove_dir_all(folder).or_else(|error| match error.kind() {
        // A package may have folders that nobody may write.
        io::ErrorKind::PermissionDenied => {
            open_up(folder);
            std::fs::remove_dir_all(folder)
        }
        _ => Err(error),
    });
    if let Err(error) = removed {
        log::warn!("cannot remove {}: {}", folder.display(), tool::io_text(&error));
    }
}

/// Make every folder below ours to write. Files stay as they are: they may be the cache's own, linked.
fn open_up(folder: &Path) {
    drop(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}
