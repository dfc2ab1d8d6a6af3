//! The failure to use or make a folder: whose it is, and what to set where it cannot be used.
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tool::{Code, Failure};

/// What to do about a disk that nothing can be written to.
pub const READ_ONLY: &str = "it is on a disk that is mounted read-only; set AUTO_INFER_WORKSPACE_DIR, or the variable for this folder alone, to one on a disk that can be written";

/// The failure to make an engine's folder: whose the one is that it would be made in, and what says where it is to be.
pub(crate) fn not_made(path: &Path, error: &io::Error) -> Failure {
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
#[must_use]
pub fn refused(path: &Path, error: &io::Error) -> Failure {
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
    let (uid, mode, we) = (stat.uid(), stat.mode() & 0o7777, rustix::process::geteuid().as_raw());
    let folder = folder.display();
    failure.hint(format!(
        "{folder} belongs to uid {uid} with mode {mode:04o}, and this runs as uid {we}; chown it"
    ))
}
