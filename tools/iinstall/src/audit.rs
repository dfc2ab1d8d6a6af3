//! What is noted of our installs.
use crate::args::Args;
use owner::canonicalize;
use record::{Env, Record, Step};
use state::audit::{Entry, Event, note};
use std::path::{Path, PathBuf};
use tool::Io;

/// From now on note where the current install of this engine becomes another, and where that fails. It is looked at what the
/// engine's folder says, whoever writes there.
pub(crate) fn begin(args: &Args, env: &Env, io: &mut Io) {
    // As another user, we are answered for.
    if privsep::is_rerun() || !env.wants(Step::Install) || args.prepare {
        return io.on_write(|_| None);
    }
    let event = if args.rollback { Event::Rollback } else { Event::Install };
    let (by, engine, run_dir) = (io.name(), env.engine, env.run_dir.clone());
    let home = env.home().cloned();
    let mut before = home.as_deref().and_then(current);
    io.on_write(move |record| {
        let entry = || Entry::new(by, event, engine).named();
        match record {
            Record::Installed(installed) if installed.engine == engine => {
                let after = home.as_deref().and_then(current);
                let same = after == before;
                before = after;
                if same { None } else { note(&run_dir, &entry().at(&installed.path)) }
            }
            Record::Failed(failed) if failed.engine == engine => note(&run_dir, &entry().failed(failed)),
            _ => None,
        }
    });
}

fn current(home: &Path) -> Option<PathBuf> {
    canonicalize(home.join(install::CURRENT)).ok()
}
