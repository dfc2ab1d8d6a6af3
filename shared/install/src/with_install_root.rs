//! Work on a folder that may not be there yet, and is not there afterwards where nothing came of it.
use crate::{InstallRoot, RootLock};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tool::Failure;

/// Let `act` have the folder at `path`, locked, waiting at most `timeout` for whoever has it. What had to be made for that
/// goes again where it fails.
///
/// # Errors
/// It cannot be made or locked, and what `act` says.
pub fn with_install_root<T>(
    path: &Path,
    timeout: Duration,
    act: impl FnOnce(&InstallRoot, &RootLock) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut made = Vec::new();
    let done = locked(path, timeout, &mut made).and_then(|(root, lock)| act(&root, &lock));
    if done.is_err() && !made.is_empty() {
        clean_up(path, &made);
    }
    done
}

/// The folder and its lock, and in `made` what was missing of the way to them.
fn locked(
    path: &Path,
    timeout: Duration,
    made: &mut Vec<PathBuf>,
) -> Result<(InstallRoot, RootLock), Failure> {
    loop {
        *made = missing(&path.join(crate::INSTALLS));
        let root = InstallRoot::make(path)?;
        // Whoever made the folder before us may just have taken it away again.
        if let Some(lock) = RootLock::take(&root, timeout)? {
            return Ok((root, lock));
        }
    }
}

/// Take away the folders that were made, and nothing else: somebody may be at work in them by now, or what a failed
/// installer left running.
fn clean_up(path: &Path, made: &[PathBuf]) {
    let Ok(Some(root)) = InstallRoot::find(path) else { return remove_empty(made) };
    let lock = match RootLock::take(&root, Duration::ZERO) {
        Ok(Some(lock)) => lock,
        Ok(None) => return remove_empty(made),
        Err(_) => return,
    };
    let mut names = std::fs::read_dir(root.installs()).into_iter().flatten().flatten();
    if names.all(|entry| entry.file_name() == crate::lock::NAME) {
        drop(std::fs::remove_file(root.installs().join(crate::lock::NAME)));
        remove_empty(made);
    }
    drop(lock);
}

/// The folders on the way to `path` that are not there, it and the innermost first.
fn missing(path: &Path) -> Vec<PathBuf> {
    path.ancestors().take_while(|folder| folder.symlink_metadata().is_err()).map(Path::to_owned).collect()
}

/// Remove these folders, the innermost first, as far as they are empty.
fn remove_empty(made: &[PathBuf]) {
    for folder in made {
        drop(std::fs::remove_dir(folder));
    }
}
