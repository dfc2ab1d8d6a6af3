//! An engine's folder: `.installs/`, the `current` link that alone ever flips, and the fixed links through it.
//!
//! Shared by all roads. Everything that changes something wants the lock.
mod attempt;
mod links;
mod lock;
mod marker;
mod prune;
mod within;

pub(crate) use attempt::{Attempt, sync_tree};
pub(crate) use lock::{HomeLock, NO_LOCKS};
pub(crate) use marker::{CEILING_BYTES, DRAFT as MARKER_DRAFT, Install, NAME as MARKER, now};
pub(crate) use within::within;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// Where attempts and installs are.
pub(crate) const INSTALLS: &str = ".installs";

/// An engine's folder, by its canonical path.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) path: PathBuf,
}

impl Home {
    /// The folder at `path`; `None` where there is none.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, Failure> {
        match path.canonicalize() {
            Ok(path) => Ok(Some(Self { path })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(path, &error)),
        }
    }

    /// The folder at `path`, made where it is missing, and `.installs` in it.
    fn make(path: &Path) -> Result<Self, Failure> {
        let made = std::fs::create_dir_all(path).and_then(|()| path.canonicalize());
        let home = Self { path: made.map_err(|error| not_made(path, &error))? };
        std::fs::create_dir_all(home.installs()).map_err(|error| refused(&home.installs(), &error))?;
        Ok(home)
    }

    /// Where attempts and installs are.
    pub(crate) fn installs(&self) -> PathBuf {
        self.path.join(INSTALLS)
    }

    /// The install that `current` names; `None` where there is none, or it names none.
    pub(crate) fn current(&self) -> Result<Option<Install>, Failure> {
        let link = self.path.join("current");
        let target = match std::fs::read_link(&link) {
            Ok(target) => self.path.join(target),
            // A real folder of that name is nothing of ours.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                return Ok(None);
            }
            Err(error) => return Err(refused(&link, &error)),
        };
        let Ok(folder) = target.canonicalize() else { return Ok(None) };
        Install::read(&folder).map_err(|error| {
            Failure::io(Code::Unmet, format!("cannot read {}", folder.join(marker::NAME).display()), &error)
                .hint("move it away and install again")
        })
    }

    /// All complete installs, the newest first. What cannot be read is none.
    pub(crate) fn complete(&self) -> Vec<Install> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.installs()).into_iter().flatten().flatten() {
            if !is_install_name(&entry.file_name().to_string_lossy()) {
                continue;
            }
            match Install::read(&entry.path()) {
                Ok(install) => found.extend(install),
                Err(error) => log::warn!("{}: {error}", entry.path().display()),
            }
        }
        found.sort_by(|a, b| b.made.total_cmp(&a.made));
        found
    }
}

/// `<id12>-<nonce4>`, both hexadecimal.
fn is_install_name(name: &str) -> bool {
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.split_once('-').is_some_and(|(id, nonce)| hex(id, 12) && hex(nonce, 4))
}

/// Make a folder's entries durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What to do about a disk that nothing can be written to.
pub(crate) const READ_ONLY: &str = "it is on a disk that is mounted read-only; set AUTO_INFER_WORKSPACE_DIR, or the variable for this folder alone, to one on a disk that can be written";

/// The failure to make an engine's folder: whose the one is that it would be made in, and what says where it is to be.
fn not_made(path: &Path, error: &io::Error) -> Failure {
    let failure = refused(path, error);
    if path.exists() || error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return failure;
    }
    let above = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
    if error.kind() != io::ErrorKind::PermissionDenied {
        return failure.hint(format!(
            "nothing can be made in {}; set AUTO_INFER_WORKSPACE_DIR, or the variable for this folder alone, to a folder on a disk",
            above.display()
        ));
    }
    let we = rustix::process::geteuid().as_raw();
    failure.hint(format!(
        "uid {we} makes nothing in {}; set AUTO_INFER_WORKSPACE_DIR, or the variable for this folder alone, to one that it may write to",
        above.display()
    ))
}

/// The failure to use or change `path`; where permission lacks it names whose the folder is.
pub(crate) fn refused(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::io(Code::Unmet, format!("cannot use {}", path.display()), error);
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return failure.hint(READ_ONLY);
    }
    if error.kind() != io::ErrorKind::PermissionDenied {
        return failure;
    }
    let Some((folder, stat)) =
        path.ancestors().find_map(|folder| Some((folder, std::fs::metadata(folder).ok()?)))
    else {
        return failure;
    };
    use std::os::unix::fs::MetadataExt;
    let (uid, mode, we) = (stat.uid(), stat.mode() & 0o7777, rustix::process::geteuid().as_raw());
    let folder = folder.display();
    failure.hint(format!(
        "{folder} belongs to uid {uid} with mode {mode:04o}, and this runs as uid {we}; chown it"
    ))
}

#[cfg(test)]
mod tests {
    use super::is_install_name;

    #[test]
    fn only_our_own_names_are_installs() {
        assert!(is_install_name("0123456789ab-cdef"));
        for name in [".incoming-cdef", "0123456789ab", "0123456789ab-cde", "0123456789ag-cdef", ".lock"] {
            assert!(!is_install_name(name), "{name}");
        }
    }
}
