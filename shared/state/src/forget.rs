//! The end of the memory of an instance.
use crate::{Directory, Lock, LockHeld, audit};
use owner::Dir;
use std::io;

/// What readers ask for first: it goes last, so that an instance is remembered until nothing else of it is left.
const STATUS: &str = "status.json";
/// Never replaced or removed: a keeper may be opening it at any moment.
const LOCK: &str = "lock";

impl Directory {
    /// Whether anything is kept or remembered here. A state directory without a status and without a keeper is empty.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        let no_status = self.open().and_then(|dir| dir.open_file(STATUS)).is_err_and(missing);
        !no_status || self.keeper().map_or(true, |keeper| keeper.is_some())
    }

    /// Remove all that is here but the lock and the audit log, whatever it is; says whether there was anything. The lock is taken for as long
    /// as that takes, so that nobody starts the instance in between.
    ///
    /// # Errors
    /// [`LockHeld::By`] where a keeper lives; what the system says.
    pub fn forget(&self) -> Result<bool, LockHeld> {
        let dir = match self.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(LockHeld::Io)?,
        };
        let _lock = match Lock::take_in(&dir) {
            // A folder, a link, a pipe: nobody keeps anything by that, or ever will while it stands there.
            Err(LockHeld::Io(error)) if is_no_file(&error) => {
                dir.remove_all(LOCK).map_err(LockHeld::Io)?;
                Lock::take_in(&dir)?
            }
            other => other?,
        };
        remove_all(&dir).map_err(LockHeld::Io)
    }
}

/// Whether the lock could not be opened because a folder, a link or a pipe has its name.
#[must_use]
pub fn is_no_file(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::InvalidData)
}

fn remove_all(dir: &Dir) -> io::Result<bool> {
    let mut names = dir.names()?;
    // What was done to an instance is not forgotten with it. What nobody can add to is no log.
    names.retain(|name| {
        let is_log = audit::FILES.iter().any(|file| name == file) && dir.open_own(name).is_ok();
        name != LOCK && !is_log
    });
    names.sort_by_key(|name| name == STATUS);
    for name in &names {
        dir.remove_all(name)?;
    }
    Ok(!names.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn all_goes_but_the_lock_folders_too_and_no_link_is_followed() {
        let run_dir = std::env::temp_dir().join(format!("state-forget-{}", std::process::id()));
        let folder = run_dir.join("llama-cpp/a");
        fs::create_dir_all(&folder).unwrap();
        for name in ["status.json", "plan.json", "secrets.json", "config.yaml", ".plan.json.new", "lock"] {
            fs::write(folder.join(name), "{").unwrap();
        }
        let elsewhere = run_dir.join("elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        fs::write(elsewhere.join("kept"), "").unwrap();
        fs::create_dir_all(folder.join("api-key/in/it")).unwrap();
        fs::write(folder.join("api-key/in/file"), "").unwrap();
        for link in ["link", "api-key/in/it/link"] {
            std::os::unix::fs::symlink(&elsewhere, folder.join(link)).unwrap();
        }
        let place = Directory::at(&folder);
        assert!(place.is_known());
        assert!(place.forget().unwrap());
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"]);
        assert!(elsewhere.join("kept").exists(), "links are not followed");
        assert!(!place.is_known() && !place.forget().unwrap());
        // What stands in the lock's place is no lock.
        fs::remove_file(folder.join("lock")).unwrap();
        fs::create_dir_all(folder.join("lock/in/it")).unwrap();
        assert!(place.keeper().is_err() && !place.forget().unwrap() && folder.join("lock").is_file());
        fs::remove_file(folder.join("lock")).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("kept"), folder.join("lock")).unwrap();
        assert!(!place.forget().unwrap() && folder.join("lock").symlink_metadata().unwrap().is_file());
        fs::remove_dir_all(&folder).unwrap();
        assert!(!place.is_known() && !place.forget().unwrap());
        fs::remove_dir_all(run_dir).unwrap();
    }
}
