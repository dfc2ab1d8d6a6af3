//! Filling the cache of another user: root makes the folders that are missing, the rest is done by ourselves again, as
//! that user.
use crate::cache_folders::{CacheFolders, refused};
use crate::task::Task;
use child::User;
use privsep::{Folders, RecordFilter, Rerun};
use record::Record;
use tool::{Failure, Io, StopSignals};

/// Do it all as `user`.
pub(crate) fn act(task: &Task<'_>, user: User, io: &mut Io) -> Result<(), Failure> {
    let env = task.env;
    // Before it is obeyed, what was done until then is said.
    let signals = StopSignals::hold()?;
    let mut folders = Folders::default();
    let made = CacheFolders::of(env).and_then(|place| {
        place.must_outlive_container(env)?;
        folders.make(&user, &place.root).map_err(|error| refused(&place.root, &error))
    });
    let ended = made.and_then(|()| {
        let args = vec![format!("--wait={}", task.patience.as_secs())];
        let gaps = task.gaps.iter().cloned().map(Record::from);
        let records = std::iter::once(Record::from(env.clone())).chain(gaps).collect();
        let rerun = Rerun { user, args, records, keep: Vec::new() };
        rerun.run(&mut RecordFilter::new(env.engine, "iwarm"), &signals, io)
    });
    folders.keep();
    ended.or_else(|failure| io.fail(env.engine, failure))
}
