//! What is noted of the caches that we fill.
use record::{Env, Record};
use state::audit::{Entry, Event, note};
use tool::Io;

/// From now on note that the cache of this engine was filled, or was not.
pub(crate) fn begin(env: &Env, io: &mut Io) {
    // As another user, we are answered for.
    if privsep::is_rerun() {
        return;
    }
    let (by, engine, run_dir, cache) = (io.name(), env.engine, env.run_dir.clone(), env.cache_root.clone());
    io.on_write(move |record| {
        let entry = || {
            let entry = Entry::new(by, Event::Warm, engine).named();
            cache.iter().fold(entry, |entry, cache| entry.at(cache))
        };
        match record {
            Record::Warmed(_) => note(&run_dir, &entry()),
            // What icache said is handed on by us where nothing is filled.
            Record::Failed(failed) if failed.by == by => note(&run_dir, &entry().failed(failed)),
            _ => None,
        }
    });
}
