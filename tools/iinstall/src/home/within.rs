//! Work on a folder that may not be there yet, and is not there afterwards where nothing came of it.
use crate::home::{Home, HomeLock};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tool::Failure;

/// Let `act` have the folder at `path`, locked, waiting at most `patience` for whoever has it. What had to be made for that
/// goes again where it fails.
pub(crate) fn within<T>(
    path: &Path,
    patience: Duration,
    act: impl FnOnce(&Home, &HomeLock) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut made = Vec::new();
    let done = locked(path, patience, &mut made).and_then(|(home, lock)| act(&home, &lock));
    if done.is_err() && !made.is_empty() {
        retreat(path, &made);
    }
    done
}

/// The folder and its lock, and in `made` what was missing of the way to them.
fn locked(path: &Path, patience: Duration, made: &mut Vec<PathBuf>) -> Result<(Home, HomeLock), Failure> {
    loop {
        *made = missing(&path.join(super::INSTALLS));
        let home = Home::make(path)?;
        // Whoever made the folder before us may just have taken it away again.
        if let Some(lock) = HomeLock::take(&home, patience)? {
            return Ok((home, lock));
        }
    }
}

/// Take away the folders that were made, and nothing else: somebody may be at work in them by now, or what a failed
/// installer left running.
fn retreat(path: &Path, made: &[PathBuf]) {
    let Ok(Some(home)) = Home::find(path) else { return unmake(made) };
    let lock = match HomeLock::take(&home, Duration::ZERO) {
        Ok(Some(lock)) => lock,
        Ok(None) => return unmake(made),
        Err(_) => return,
    };
    let mut names = std::fs::read_dir(home.installs()).into_iter().flatten().flatten();
    if names.all(|entry| entry.file_name() == super::lock::NAME) {
        drop(std::fs::remove_file(home.installs().join(super::lock::NAME)));
        unmake(made);
    }
    drop(lock);
}

/// The folders on the way to `path` that are not there, it and the innermost first.
fn missing(path: &Path) -> Vec<PathBuf> {
    path.ancestors().take_while(|folder| folder.symlink_metadata().is_err()).map(Path::to_owned).collect()
}

/// Remove these folders, the innermost first, as far as they are empty.
fn unmake(made: &[PathBuf]) {
    for folder in made {
        drop(std::fs::remove_dir(folder));
    }
}
