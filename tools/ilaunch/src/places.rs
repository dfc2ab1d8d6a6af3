//! The folders that an instance needs before its keeper starts, and whose they are.
use child::User;
use record::Plan;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;
use tool::{Code, Failure};

/// `<run_dir>/<engine>` is ours and the state directory in it the user's. A missing log folder is made for the user too.
pub(crate) fn make_folders(plan: &Plan, user: Option<&User>) -> Result<(), Failure> {
    let cannot = |path: &Path, error: io::Error| {
        let variable = if path.starts_with(&plan.state_dir) || plan.state_dir.starts_with(path) {
            tool::vars::RUN_DIR
        } else {
            tool::vars::LOG_DIR
        };
        Failure::io(Code::Unmet, format!("cannot make {}", path.display()), &error)
            .hint(format!("set {variable} to a folder that can be made and written"))
    };
    let state_dir = &plan.state_dir;
    if let Some(run_dir) = state_dir.parent().and_then(Path::parent) {
        make_run_dir(run_dir, user).map_err(|error| cannot(run_dir, error))?;
    }
    make_for(state_dir, user).map_err(|error| cannot(state_dir, error))?;
    match plan.log_file.parent() {
        Some(folder) if !folder.exists() => make_for(folder, user).map_err(|error| cannot(folder, error)),
        _ => Ok(()),
    }
}

/// The fallback below /tmp is private, unless another user's keeper has to reach into it; and it must be ours, because
/// anybody may have made one of that name before us.
fn make_run_dir(run_dir: &Path, user: Option<&User>) -> io::Result<()> {
    let own = rustix::process::geteuid();
    if run_dir == Path::new(&format!("/tmp/infer-dev-{}", own.as_raw())) {
        let mode = if user.is_none() { 0o700 } else { 0o755 };
        make_folder(run_dir, mode).map(drop)?;
        let found = run_dir.symlink_metadata()?;
        if !found.is_dir() || found.uid() != own.as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else"));
        }
    }
    Ok(())
}

/// Missing parents are ours, 0755; the folder itself is the user's. One that exists is left as it is.
fn make_for(folder: &Path, user: Option<&User>) -> io::Result<()> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.exists()) {
        make_for(parent, None)?;
    }
    if make_folder(folder, 0o755)?
        && let Some(user) = user
    {
        chown(folder, Some(user.owner().uid()), Some(user.owner().gid()))?;
    }
    Ok(())
}

/// Whether it had to be made. The mode holds whatever the umask.
fn make_folder(folder: &Path, mode: u32) -> io::Result<bool> {
    match DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(mode)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// A state directory that another user's keeper has left becomes this user's.
pub(crate) fn hand_over(plan: &Plan, user: Option<&User>) -> Result<(), Failure> {
    let what = || format!("cannot hand over {}", plan.state_dir.display());
    give(&plan.state_dir, user).map_err(|error| Failure::io(Code::Unmet, what(), &error))
}

/// What stands in it is worthless by now, but
/// for the lock file, which must never be replaced.
fn give(state_dir: &Path, user: Option<&User>) -> io::Result<()> {
    let Some(user) =
        user.filter(|user| state_dir.metadata().is_ok_and(|found| found.uid() != user.owner().uid()))
    else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(user.owner().uid()), Gid::from_raw(user.owner().gid()));
    for name in ["status.json", "plan.json", "secrets.json", "api-key"] {
        match std::fs::remove_file(state_dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match rustix::fs::open(state_dir.join("lock"), flags, Mode::empty()) {
        Ok(lock) => {
            // A hard link to a file elsewhere is nothing to give away.
            if rustix::fs::fstat(&lock)?.st_nlink == 1 {
                rustix::fs::fchown(&lock, Some(uid), Some(gid))?;
            }
        }
        Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(rustix::fs::chownat(CWD, state_dir, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}
