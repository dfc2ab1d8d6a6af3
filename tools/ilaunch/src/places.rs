//! The folders that an instance needs before its keeper starts, and whose they are.
use child::User;
use owner::{Dir, Owner};
use record::Plan;
use rustix::fs::{Gid, Uid, fchown, fstat};
use std::io;
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
    let us = Owner::current();
    let whose = user.map_or(&us, User::owner);
    make_state_dir(state_dir, whose).map_err(|error| cannot(state_dir, error))?;
    match plan.log_file.parent() {
        Some(folder) => owner::make_folder(folder, whose).map(drop).map_err(|error| cannot(folder, error)),
        None => Ok(()),
    }
}

/// One that exists is left as it is.
fn make_state_dir(state_dir: &Path, whose: &Owner) -> io::Result<()> {
    let names = (state_dir.parent().and_then(Path::parent), state_dir.parent().and_then(Path::file_name));
    let ((Some(run_dir), Some(engine)), Some(instance)) = (names, state_dir.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // The fallback below /tmp is private, unless another user's keeper has to reach into it.
    let private = run_dir == state::of_user();
    let run_dir = state::make_run_dir(run_dir, if private { 0o700 } else { 0o755 })?;
    if private && !whose.is_current() {
        run_dir.set_mode(0o755)?;
    }
    let engine = make_below(&run_dir, engine, &Owner::current())?;
    make_below(&engine, instance, whose).map(drop)
}

fn make_below(folder: &Dir, name: &std::ffi::OsStr, whose: &Owner) -> io::Result<Dir> {
    match folder.below(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder.make(name, 0o755, whose)?;
            folder.below(name)
        }
        other => other,
    }
}

/// A state directory that another user's keeper has left becomes this user's.
pub(crate) fn hand_over(plan: &Plan, user: Option<&User>) -> Result<(), Failure> {
    let what = || format!("cannot hand over {}", plan.state_dir.display());
    give(&plan.state_dir, user).map_err(|error| Failure::io(Code::Unmet, what(), &error))
}

/// What stands in it is worthless by now, but for the lock file, which must never be replaced.
fn give(state_dir: &Path, user: Option<&User>) -> io::Result<()> {
    let Some(user) = user.map(User::owner) else { return Ok(()) };
    let dir = state::Directory::at(state_dir).open()?;
    if dir.owner() == *user {
        return Ok(());
    }
    for name in ["status.json", "plan.json", "secrets.json", "api-key"] {
        dir.remove(name)?;
    }
    let (uid, gid) = (Some(Uid::from_raw(user.uid())), Some(Gid::from_raw(user.gid())));
    match dir.open_own("lock") {
        // A hard link to a file elsewhere is nothing to give away.
        Ok(lock) if fstat(&lock)?.st_nlink == 1 => fchown(&lock, uid, gid)?,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    dir.give(user)
}
