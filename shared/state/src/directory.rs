//! One instance's state directory.
use crate::{Status, dir_cache, lock, run_dir};
use owner::{Dir, Owner};
use record::{Engine, KeeperState, Plan};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

/// The largest files that are read. What a keeper writes is far below; its user may write anything.
const STATUS_BYTES: usize = 256 << 10;
const PLAN_BYTES: usize = 4 << 20;
const KEY_BYTES: usize = 64 << 10;
/// How long a keeper may take from its lock to its first word, and from its last word to its end.
const SETTLING: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// `<run_dir>/<engine>/<instance>`, by its path. Its user can write all of it, so that everything in it is reached through
/// [`Directory::open`].
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

    /// Open it: below a run directory where nobody but root and us can have made anything, and with the rights of the user
    /// whose instance it is. What is asked of it within a moment is asked of the same folder.
    ///
    /// # Errors
    /// What the system says; that the run directory is somebody else's.
    pub fn open(&self) -> io::Result<Rc<Dir>> {
        dir_cache::get_or_open(&self.path, || self.walk())
    }

    fn walk(&self) -> io::Result<Dir> {
        let path = std::path::absolute(&self.path)?;
        let (Some(instance), Some(folder)) = (path.file_name(), path.parent()) else {
            return Err(rustix::io::Errno::INVAL.into());
        };
        let (Some(engine), Some(run_dir)) = (folder.file_name(), folder.parent()) else {
            return Err(rustix::io::Errno::INVAL.into());
        };
        let run_dir = Dir::open(run_dir)?;
        let engine = run_dir.below(engine)?;
        let dir = engine.below(instance)?;
        // What is not there is nobody's.
        run_dir::trusted(run_dir)?;
        run_dir::trusted(engine)?;
        Ok(dir)
    }

    /// Whose instance it is.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub fn user(&self) -> io::Result<Owner> {
        self.open().map(|dir| dir.owner())
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
        self.existing()?.map_or(Ok(None), |dir| lock::holder(&dir))
    }

    /// `status.json`; `None` where there is none yet.
    ///
    /// # Errors
    /// What the system says, or that the file is not format 1.
    pub fn status(&self) -> io::Result<Option<Status>> {
        self.read("status.json", STATUS_BYTES)
    }

    /// `plan.json`: the plan that is kept; `None` where there is none yet.
    ///
    /// # Errors
    /// As [`Directory::status`].
    pub fn plan(&self) -> io::Result<Option<Plan>> {
        self.read("plan.json", PLAN_BYTES)
    }

    /// The engine's API key, for those who may read it; `None` where there is none.
    ///
    /// # Errors
    /// What the system says, a missing file excepted.
    pub fn api_key(&self) -> io::Result<Option<String>> {
        let Some(key) = self.bytes("api-key", KEY_BYTES)? else { return Ok(None) };
        let key = String::from_utf8(key).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Some(key.trim_end().to_owned()))
    }

    /// What the instance does now: the state that its keeper wrote, while the keeper lives or where that state is final; else `lost`.
    /// `None` where nothing was ever kept here.
    ///
    /// # Errors
    /// As [`Directory::status`].
    pub fn state(&self) -> io::Result<Option<(KeeperState, Status)>> {
        // The lock first: a keeper that ends between the two reads has written its final state by then.
        self.state_while(self.keeper()?.is_some())
    }

    /// The same for whoever has asked for its keeper just now.
    ///
    /// # Errors
    /// As [`Directory::status`].
    pub fn state_while(&self, alive: bool) -> io::Result<Option<(KeeperState, Status)>> {
        let Some(status) = self.status()? else { return Ok(None) };
        let last_word = matches!(status.state, KeeperState::Failed | KeeperState::Stopped);
        let state = if alive || last_word { status.state } else { KeeperState::Lost };
        Ok(Some((state, status)))
    }

    /// The same, of one life: a keeper that begins holds the lock before it has written anything, beside the last word of the
    /// one before it, and one that ends has written its last word before it lets go. So such a word is looked at again, for a
    /// while, until nobody keeps the instance.
    ///
    /// # Errors
    /// As [`Directory::status`].
    pub fn settled_state(&self) -> io::Result<Option<(KeeperState, Status)>> {
        let until = Instant::now() + SETTLING;
        loop {
            let kept = self.keeper()?.is_some();
            let found = self.state_while(kept)?;
            let last_word = matches!(found, Some((KeeperState::Failed | KeeperState::Stopped, _)));
            if !(kept && last_word) || Instant::now() >= until {
                return Ok(found);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Replace a file here in one step, with these permissions whatever the umask. For the keeper alone.
    ///
    /// # Errors
    /// What the system says; the old file is then still there.
    pub fn replace(&self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let dir = self.open()?;
        // Of a keeper that was killed.
        dir.remove_drafts()?;
        dir.replace(name, mode, content)
    }

    /// Write over a file that is there, for when the disk has no room for another: the same blocks, padded with blanks. A
    /// reader may find it half written.
    ///
    /// # Errors
    /// What the system says.
    pub fn overwrite(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.open()?.overwrite(name, content)
    }

    /// `None` where it does not exist.
    fn existing(&self) -> io::Result<Option<Rc<Dir>>> {
        match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    fn bytes(&self, name: &str, cap: usize) -> io::Result<Option<Vec<u8>>> {
        self.existing()?.map_or(Ok(None), |dir| dir.read(name, cap))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str, cap: usize) -> io::Result<Option<T>> {
        let bytes = self.bytes(name, cap)?;
        bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(io::Error::from)
    }
}
