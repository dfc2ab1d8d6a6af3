//! One instance's state directory.
use crate::{Status, lock};
use record::{Engine, Keeper, Plan};
use std::io;
use std::path::{Path, PathBuf};

/// `<run_dir>/<engine>/<instance>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The state directory of an instance below a run directory.
    #[must_use]
    pub fn of(run_dir: &Path, engine: Engine, instance: &str) -> Self {
        Self { path: run_dir.join(engine.id()).join(instance) }
    }

    /// The state directory at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The engine, from the folder above; `None` where that is not one of ours.
    #[must_use]
    pub fn engine(&self) -> Option<Engine> {
        self.path.parent()?.file_name()?.to_str()?.parse().ok()
    }

    /// The instance's name, from the folder.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.path.file_name()?.to_str()
    }

    /// Whose instance it is: user and group of the folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn owner(&self) -> io::Result<(u32, u32)> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(&self.path).map(|folder| (folder.uid(), folder.gid()))
    }

    /// The liveness lock's file. Only the keeper opens it for writing, and only once.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// The keeper that lives, if one does. Asks the lock, takes nothing.
    ///
    /// # Errors
    /// What the system says, a missing file excepted.
    pub fn keeper(&self) -> io::Result<Option<u32>> {
        lock::holder(&self.lock_file())
    }

    /// `status.json`; `None` where there is none yet.
    ///
    /// # Errors
    /// What the system says, or that the file is not format 1.
    pub fn status(&self) -> io::Result<Option<Status>> {
        self.read("status.json")
    }

    /// `plan.json`: the plan that is kept; `None` where there is none yet.
    ///
    /// # Errors
    /// As [`Directory::status`].
    pub fn plan(&self) -> io::Result<Option<Plan>> {
        self.read("plan.json")
    }

    /// The engine's API key, for those who may read it; `None` where there is none.
    ///
    /// # Errors
    /// What the system says, a missing file excepted.
    pub fn api_key(&self) -> io::Result<Option<String>> {
        match std::fs::read_to_string(self.path.join("api-key")) {
            Ok(key) => Ok(Some(key.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the instance does now: the keeper's own word while it lives, or that word where it is final, else `lost`.
    /// `None` where nothing was ever kept here.
    ///
    /// # Errors
    /// As [`Directory::status`].
    pub fn state(&self) -> io::Result<Option<(Keeper, Status)>> {
        // The lock first: a keeper that ends between the two reads has written its final state by then.
        let alive = self.keeper()?.is_some();
        let Some(status) = self.status()? else { return Ok(None) };
        let last_word = matches!(status.state, Keeper::Failed | Keeper::Stopped);
        let state = if alive || last_word { status.state } else { Keeper::Lost };
        Ok(Some((state, status)))
    }

    /// Replace a file here in one step, with these permissions whatever the umask. For the keeper alone.
    ///
    /// # Errors
    /// What the system says; the old file is then still there.
    pub fn replace(&self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        use std::io::Write;
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let draft = self.path.join(format!(".{name}.new"));
        // A draft of a keeper that was killed may be another user's.
        drop(std::fs::remove_file(&draft));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&draft)?;
        let written = file.write_all(content).and_then(|()| {
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
            std::fs::rename(&draft, self.path.join(name))
        });
        if written.is_err() {
            // What was written of it is worth nothing; on a full disk its room is.
            drop(std::fs::remove_file(&draft));
        }
        written
    }

    /// Write over a file that is there, for when the disk has no room for another: the same blocks, padded with blanks. A
    /// reader may find it half written.
    ///
    /// # Errors
    /// What the system says.
    pub fn overwrite(&self, name: &str, content: &[u8]) -> io::Result<()> {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().write(true).open(self.path.join(name))?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut padded = content.to_vec();
        padded.resize(content.len().max(length), b' ');
        file.write_all(&padded)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let bytes = match std::fs::read(self.path.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from)
    }
}
