//! One attempt at an install: a folder that is nothing until its marker is written, and goes away when it fails.
use crate::sync::{sync_folder, sync_tree};
use crate::{Install, InstallRoot, RootLock, refused};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use tool::Failure;

/// A folder below `.installs`, removed when it is dropped before it is an install: `.incoming-<nonce>`, and once it is
/// moved into place the folder that the install will be.
#[derive(Debug)]
pub struct Attempt<'a> {
    root: &'a InstallRoot,
    folder: PathBuf,
    whole: bool,
}

impl<'a> Attempt<'a> {
    /// An empty folder. Whoever holds the lock may.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(root: &'a InstallRoot, _lock: &RootLock) -> Result<Self, Failure> {
        loop {
            let folder = root.installs().join(format!(".incoming-{}", nonce()));
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(Self { root, folder, whole: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(&folder, &error)),
            }
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where an install of this id will be. Nothing is there.
    #[must_use]
    pub fn destination(&self, id: &str) -> PathBuf {
        let id = id.get(..12).unwrap_or(id);
        loop {
            let path = self.root.installs().join(format!("{id}-{}", nonce()));
            if path.symlink_metadata().is_err() {
                return path;
            }
        }
    }

    /// Move to where an install of this id will be, before anything is made that knows its own place: an environment is
    /// full of its path. Until its marker is written it is swept like any attempt.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn move_into_place(&mut self, id: &str) -> Result<(), Failure> {
        let place = self.destination(id);
        std::fs::rename(&self.folder, &place).map_err(|error| refused(&place, &error))?;
        self.folder = place;
        Ok(())
    }

    /// The folder, which is in place, is the complete install that `install` describes.
    ///
    /// # Errors
    /// It cannot be made durable, or the marker cannot be written.
    pub fn finish(mut self, install: &Install) -> Result<(), Failure> {
        // The marker says that the install is complete: all of the install must be on the disk before the marker is.
        let finish = || {
            sync_tree(&self.folder)?;
            sync_folder(&self.root.installs())?;
            install.write()
        };
        finish().map_err(|error| refused(&install.path, &error))?;
        self.whole = true;
        Ok(())
    }

    /// Make `content`, a folder in the attempt, the complete install that `install` describes.
    ///
    /// # Errors
    /// As [`Attempt::finish`].
    pub fn complete(self, content: &Path, install: &Install) -> Result<(), Failure> {
        let finish = || {
            sync_tree(content)?;
            std::fs::rename(content, &install.path)?;
            sync_folder(&self.root.installs())?;
            install.write()
        };
        finish().map_err(|error| refused(&install.path, &error))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.whole {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            log::warn!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// Four hexadecimal digits, each time others.
pub(crate) fn nonce() -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{:04x}", random & 0xffff)
}
