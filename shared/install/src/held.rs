//! An install as those see it who run from it or look at it.
use crate::marker;
use crate::root::CURRENT;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// The marker of the install in this folder.
#[must_use]
pub fn marker_of(folder: &Path) -> PathBuf {
    folder.join(marker::NAME)
}

/// Whether there is a complete install in this folder. What an older tool left, and iinstall only found, is none.
#[must_use]
pub fn is_install(folder: &Path) -> bool {
    owner::is_file(marker_of(folder))
}

/// Whether the install in this folder is the one that its root names as current; `None` where that is not known.
#[must_use]
pub fn is_current(folder: &Path) -> Option<bool> {
    let root = folder.parent().and_then(Path::parent)?;
    let current = owner::canonicalize(root.join(CURRENT)).ok()?;
    Some(owner::canonicalize(folder).is_ok_and(|folder| folder == current))
}

/// Hold the install in this folder as long as the file is open: a shared lock, so that no prune removes it. It must still be
/// there then.
///
/// # Errors
/// It is being removed (code 75), or was.
#[expect(clippy::disallowed_methods, reason = "a keeper runs as the user who installed")]
pub fn hold(folder: &Path) -> Result<File, Failure> {
    let what = || format!("cannot use the install {}", folder.display());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::open(folder, flags, Mode::empty());
    let held = open.map_err(|error| Failure::io(Code::Unmet, what(), &error.into()))?;
    flock(&held, FlockOperation::NonBlockingLockShared).map_err(|error| match error {
        Errno::WOULDBLOCK => Failure::new(Code::Later, what(), "it is being removed"),
        other => Failure::io(Code::Unmet, what(), &other.into()),
    })?;
    let marker = marker_of(folder);
    let there = owner::metadata(&marker).map(drop);
    there.map_err(|error| Failure::io(Code::Unmet, format!("cannot read {}", marker.display()), &error))?;
    Ok(File::from(held))
}
