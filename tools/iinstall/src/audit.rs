//! What is noted of our installs, but for those that we make current ourselves: see [`crate::switch`].
use crate::args::Args;
use crate::switch::event;
use owner::canonicalize;
use record::{Env, Record, Step};
use state::audit::{Entry, note};
use std::path::{Path, PathBuf};
use tool::Io;

/// From now on note where an install of this engine fails.
pub(crate) fn of_failures(args: &Args, env: &Env, io: &mut Io) {
    if privsep::is_rerun() || !changes(args, env) {
        return io.on_write(|_| None);
    }
    let (env, event, by) = (env.clone(), event(args), io.name());
    io.on_write(move |record| match record {
        Record::Failed(failed) if failed.engine == env.engine => {
            note(&env.run_dir, &Entry::new(by, event, env.engine).named().failed(failed))
        }
        _ => None,
    });
}

/// The same, and where the install that another user's process makes becomes the current one. What it says of that is its
/// user's: it is looked at what the engine's folder says.
pub(crate) fn of_other_user(args: &Args, env: &Env, io: &mut Io) {
    if !changes(args, env) {
        return io.on_write(|_| None);
    }
    let (env, event, by) = (env.clone(), event(args), io.name());
    let home = env.home().cloned();
    let mut known = home.as_deref().and_then(current);
    io.on_write(move |record| {
        let entry = || Entry::new(by, event, env.engine).named();
        // Once: `failed` may follow `installed`.
        let mut note_switch = || {
            let now = home.as_deref().and_then(current).filter(|now| known.as_ref() != Some(now))?;
            let warning = note(&env.run_dir, &entry().at(&now));
            known = Some(now);
            warning
        };
        match record {
            Record::Installed(installed) if installed.engine == env.engine && installed.switched => {
                note_switch()
            }
            Record::Failed(failed) if failed.engine == env.engine => {
                // It may have failed, or have been ended, after that.
                let switched = note_switch();
                switched.or(note(&env.run_dir, &entry().failed(failed)))
            }
            _ => None,
        }
    });
}

fn changes(args: &Args, env: &Env) -> bool {
    env.wants(Step::Install) && !args.prepare
}

fn current(home: &Path) -> Option<PathBuf> {
    canonicalize(home.join(install::CURRENT)).ok()
}
