//! The state directory: held by its lock, written by its keeper alone, and written again where somebody has removed it.
use crate::take_lock;
use record::KeeperState;
use rustix::process::geteuid;
use state::{Directory, Lock, StartRequest, Status};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// A keeper that is just ending has let go of its lock a moment before its engine loses it as a parent.
const ENDING: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// One that is held. Dropping it is the end of the keeping.
pub(crate) struct StateDir {
    pub(crate) directory: Directory,
    lock: Lock,
    /// Locks of directories that were moved away: a reader who finds one there still learns that we live.
    moved: Vec<Lock>,
}

impl StateDir {
    /// Take the lock, unless another keeper lives: it may have lost its directory, and with it the file of its lock.
    pub(crate) fn take(directory: Directory, stopping: Option<u32>) -> Result<Self, Failure> {
        let had_lock = directory.lock_file().exists();
        let lock = take_lock::take(&directory, stopping)?;
        let word = directory.status().ok().flatten().map(|status| status.state);
        let ended = matches!(word, Some(KeeperState::Failed | KeeperState::Stopped));
        let begun = Instant::now();
        // Looks at every keeper. Needless where the last holder of this lock has written a final state.
        let other = || if had_lock && ended { None } else { tree::other_keeper(directory.path()) };
        while let Some(other) = other() {
            if begun.elapsed() >= ENDING {
                let hint =
                    "its state directory was removed and it will write it again: try again in a few seconds";
                return Err(take_lock::kept_already(&directory, other).hint(hint));
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(Self { directory, lock, moved: Vec::new() })
    }

    /// The plan for everybody; secrets for the engine's user alone, and none left over from an earlier plan.
    pub(crate) fn write_request(&self, request: &StartRequest) -> Result<(), Failure> {
        let write = |name: &str, mode: u32, content: &[u8]| {
            let written = self.directory.replace(name, mode, content);
            written.map_err(|error| self.not_written(name, &error))
        };
        let json = |value: serde_json::Result<Vec<u8>>| value.unwrap_or_default();
        write("plan.json", 0o644, &json(serde_json::to_vec(&request.plan)))?;
        write("secrets.json", 0o600, &json(serde_json::to_vec(&request.secrets)))?;
        match &request.secrets.api_key {
            Some(key) => write("api-key", 0o600, key.as_bytes())?,
            None => drop(std::fs::remove_file(self.directory.path().join("api-key"))),
        }
        for (name, content) in &request.secrets.files {
            write(name, 0o600, content.as_bytes())?;
        }
        Ok(())
    }

    /// Readers rely on this file, so it is written even on a full disk: else they would read that an engine runs which is
    /// dying, and once the lock is free only the final state says that the engine was stopped in good order.
    pub(crate) fn write_status(&self, status: &Status) -> io::Result<()> {
        let text = serde_json::to_vec(status)?;
        // A disk that is full has no room for another file, but has that of the one that is there.
        let over = |text: &[u8]| self.directory.overwrite("status.json", text);
        self.directory.replace("status.json", 0o644, &text).or_else(|error| {
            over(&text).or_else(|_| over(&serde_json::to_vec(&brief(status))?)).map_err(|_| error)
        })
    }

    /// That, why, and the way out where something stands in its place.
    pub(crate) fn not_written(&self, name: &str, error: &io::Error) -> Failure {
        let failure = Failure::io(Code::Unmet, self.cannot_write(name), error);
        match (error.kind(), self.directory.engine(), self.directory.instance()) {
            (io::ErrorKind::IsADirectory, Some(engine), Some(instance)) => {
                failure.hint(format!("istop --forget {engine}/{instance} removes what stands there"))
            }
            _ => failure,
        }
    }

    pub(crate) fn cannot_write(&self, name: &str) -> String {
        format!("cannot write {}", self.directory.path().join(name).display())
    }

    /// Whether the lock is where readers ask for it. Costs one stat(2).
    pub(crate) fn is_locked(&self) -> bool {
        self.lock.is_at(&self.directory.lock_file())
    }

    /// Whether readers find what they look for, too.
    pub(crate) fn is_complete(&self) -> bool {
        let there = |name: &str| {
            let found = self.directory.path().join(name).symlink_metadata();
            !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        self.is_locked() && there("status.json") && there("plan.json")
    }

    /// Make it anew: folders, lock, plan, secrets and status.
    pub(crate) fn restore(&mut self, request: &StartRequest, status: &Status) -> Result<(), Failure> {
        if !self.is_locked() {
            let path = self.directory.path();
            make_folders(path).map_err(|error| {
                Failure::io(Code::Unmet, format!("cannot make {} again", path.display()), &error)
            })?;
            let before = std::mem::replace(&mut self.lock, take_lock::take(&self.directory, None)?);
            if !before.is_removed() {
                self.moved.push(before);
            }
        }
        self.write_request(request)?;
        self.write_status(status).map_err(|error| self.not_written("status.json", &error))
    }
}

/// The run directory, the engine's folder and the state directory, as far as they are missing. What is above them is not
/// ours to make. They must be ours or root's: anybody may have made one of that name in /tmp.
fn make_folders(state_dir: &Path) -> io::Result<()> {
    let own = geteuid().as_raw();
    let engine = state_dir.parent();
    let run_dir = engine.and_then(Path::parent);
    let of_user =
        run_dir.and_then(|path| path.to_str()?.strip_prefix("/tmp/infer-dev-")?.parse::<u32>().ok());
    if of_user.is_some_and(|user| user != own) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another user's to make"));
    }
    let of_run_dir = if of_user.is_some() { 0o700 } else { 0o755 };
    let folders = [run_dir, engine, Some(state_dir)].into_iter().flatten();
    for (folder, mode) in folders.zip([of_run_dir, 0o755, 0o755]) {
        match DirBuilder::new().mode(mode).create(folder) {
            // The mode holds whatever the umask.
            Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(mode))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let found = folder.symlink_metadata()?;
        let wrong = if !found.is_dir() {
            Some((io::ErrorKind::NotADirectory, "is not a folder".to_owned()))
        } else if ![own, 0].contains(&found.uid()) {
            Some((io::ErrorKind::PermissionDenied, format!("belongs to uid {}", found.uid())))
        } else {
            None
        };
        if let Some((kind, why)) = wrong {
            return Err(io::Error::new(kind, format!("{} {why}", folder.display())));
        }
    }
    Ok(())
}

/// Less of what explains it: that may need more room than there is.
fn brief(status: &Status) -> Status {
    let mut brief = status.clone();
    (brief.evidence, brief.hint) = (None, None);
    brief.reason = brief.reason.map(|reason| reason.chars().take(200).collect());
    brief
}
