//! Whether something is at a path, and what: a look that opens nothing.
//!
//! Root follows the path with its own rights as far as nobody but root can have made a step of it, and from there on with
//! those of whoever could have. So no link of a user's reveals anything that the user could not see. Who is not root uses his
//! own rights, as the standard library does.
use crate::{Dir, walk};
use rustix::fs::{Mode, openat, readlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What a path leads to, links followed.
///
/// # Errors
/// What the system says.
pub fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    if is_root() { File::from(walk::hold(path)?).metadata() } else { std::fs::metadata(path) }
}

/// Whether it leads to anything that can be looked at.
pub fn exists(path: impl AsRef<Path>) -> bool {
    metadata(path).is_ok()
}

/// Whether it leads to a regular file.
pub fn is_file(path: impl AsRef<Path>) -> bool {
    metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether it leads to a folder.
pub fn is_dir(path: impl AsRef<Path>) -> bool {
    metadata(path).is_ok_and(|found| found.is_dir())
}

/// The path without links that leads to the same.
///
/// # Errors
/// What the system says.
pub fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    if !is_root() {
        return std::fs::canonicalize(path);
    }
    let held = walk::hold(path)?;
    std::fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd()))
}

/// What stands at a path itself, be it a link.
///
/// # Errors
/// What the system says.
pub fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    match path.file_name().filter(|_| is_root()) {
        Some(name) => File::from(hold_entry(path, name)?).metadata(),
        None => std::fs::symlink_metadata(path),
    }
}

/// What the link at a path says.
///
/// # Errors
/// What the system says: that it is no link, too.
pub fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    match path.file_name().filter(|_| is_root()) {
        Some(name) => {
            let target =
                readlinkat(&hold_entry(path, name)?, "", Vec::new()).map_err(|error| match error {
                    // Of what is held without being opened the kernel says that it is not there.
                    Errno::NOENT => Errno::INVAL,
                    other => other,
                })?;
            Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
        }
        None => std::fs::read_link(path),
    }
}

fn hold_entry(path: &Path, name: &OsStr) -> io::Result<OwnedFd> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = Dir::open(parent)?;
    Ok(dir.act(|| openat(&dir, name, walk::LOOK, Mode::empty()))??)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
