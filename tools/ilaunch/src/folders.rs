//! The folders that an instance needs before its keeper starts, and whose they are.
use child::User;
use owner::{Dir, Owner};
use record::Plan;
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown, fstat};
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
    if let Some(folder) = plan.log_file.parent() {
        owner::make_folder(folder, whose).map_err(|error| cannot(folder, error))?;
    }
    match &plan.cache_dir {
        Some(dir) => make_cache_dir(plan, dir, whose).map_err(|error| {
            let hint =
                format!("set {} to a folder that can be made and written", tool::vars::ENGINE_CACHE_DIR);
            Failure::io(Code::Unmet, format!("cannot make {}", dir.display()), &error).hint(hint)
        }),
        None => Ok(()),
    }
}

/// As in /tmp, everybody may make a folder where these are, and nobody touches another's: a volume is served from by
/// whichever uid a container happens to have. Whoever has the folder that they are in can put another one in the place of
/// any, so it is not the first user's, and root starts no user's engine on one of another user.
fn make_cache_dir(plan: &Plan, dir: &Path, whose: &Owner) -> io::Result<()> {
    let (Some(caches), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let caches = match Dir::open(caches) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = owner::make_common_folder(caches)?;
            made.set_mode(0o1777)?;
            made
        }
        other => other?,
    };
    let keeper = caches.owner();
    if Owner::current().uid() == 0 && !keeper.is_trusted() && keeper != *whose {
        let (path, uid) = (caches.path().display(), keeper.uid());
        return Err(io::Error::other(format!(
            "{path} belongs to uid {uid}, who could put another in its place"
        )));
    }
    if let Err(error) = caches.below(name) {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        caches.make(name, 0o700, whose)?;
    }
    let cache = caches.below(name)?;
    if cache.owner() != *whose {
        // What another user put there would run as this one.
        return Err(io::Error::other(format!("it belongs to uid {}", cache.owner().uid())));
    }
    let home = dir.join("home");
    if plan.env_set.get("HOME").is_some_and(|set| Path::new(set) == home) {
        owner::make_folder(&home, whose)?;
    }
    Ok(())
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

/// What stands in it is worthless by now, but for the lock file, which must never be replaced, and the audit
/// log of the old user: that one may still have it open, so it stays as a file of another name.
fn give(state_dir: &Path, user: Option<&User>) -> io::Result<()> {
    let Some(user) = user.map(User::owner) else { return Ok(()) };
    let dir = state::Directory::at(state_dir).open()?;
    if dir.owner() == *user {
        return Ok(());
    }
    let old = dir.owner().uid();
    // From here on nobody else makes names in it.
    dir.give(&Owner::current())?;
    let dir = state::Directory::at(state_dir).open()?;
    for name in ["status.json", "plan.json", "secrets.json", "api-key"] {
        // Folders that lie too deep to be removed are moved out of the way.
        dir.remove_all(name).or_else(|_| dir.rename(name, format!("{name}.of-{old}")))?;
    }
    for name in state::audit::FILES {
        set_aside(&dir, name, old);
    }
    let (uid, gid) = (Some(Uid::from_raw(user.uid())), Some(Gid::from_raw(user.gid())));
    match dir.open_own("lock") {
        Ok(file) if fstat(&file)?.st_nlink == 1 => {
            fchown(&file, uid, gid)?;
            fchmod(&file, Mode::from(0o644))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if !state::is_no_file(&error) => return Err(error),
        // What has another name is nothing to give away, and what is no file is nobody's lock.
        _ => drop(dir.remove_all("lock")?),
    }
    dir.give(user)
}

/// Whatever the old user has there: it is kept if it can be, and holds nothing up.
fn set_aside(dir: &Dir, name: &str, old: u32) {
    let kept = format!("{name}.of-{old}");
    if let Err(error) = dir.rename(name, &kept).or_else(|_| dir.remove_all(name)) {
        log::warn!("{} stays: {}", dir.path().join(name).display(), tool::io_text(&error));
    }
}
