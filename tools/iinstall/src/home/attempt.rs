//! One attempt at an install: a folder that is nothing until its marker is written, and goes away when it fails.
use crate::home::{Home, HomeLock, Install, refused, sync_folder};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use tool::Failure;

/// A folder `.installs/.incoming-<nonce>`, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    home: &'a Home,
    incoming: PathBuf,
}

impl<'a> Attempt<'a> {
    /// An empty folder to unpack into. Whoever holds the lock may.
    pub(crate) fn begin(home: &'a Home, _lock: &HomeLock) -> Result<Self, Failure> {
        loop {
            let incoming = home.installs().join(format!(".incoming-{}", nonce()));
            match std::fs::create_dir(&incoming) {
                Ok(()) => return Ok(Self { home, incoming }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(&incoming, &error)),
            }
        }
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.incoming
    }

    /// Where an install of this id will be. Nothing is there.
    pub(crate) fn destination(&self, id: &str) -> PathBuf {
        let id = id.get(..12).unwrap_or(id);
        loop {
            let path = self.home.installs().join(format!("{id}-{}", nonce()));
            if path.symlink_metadata().is_err() {
                return path;
            }
        }
    }

    /// Make `content`, a folder in the attempt, the complete install that `install` describes.
    pub(crate) fn complete(self, content: &Path, install: &Install) -> Result<(), Failure> {
        let finish = || {
            // What the marker vouches for must be on the disk before the marker is.
            rustix::fs::syncfs(std::fs::File::open(content)?)?;
            std::fs::rename(content, &install.path)?;
            sync_folder(&self.home.installs())?;
            install.write()
        };
        finish().map_err(|error| refused(&install.path, &error))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.incoming) {
            log::warn!("cannot remove {}: {error}", self.incoming.display());
        }
    }
}

/// Four hexadecimal digits, each time others.
pub(super) fn nonce() -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{:04x}", random & 0xffff)
}
