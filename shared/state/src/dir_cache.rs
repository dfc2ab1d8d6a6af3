//! The folders that were reached last: what is asked of an instance is asked several times in a row, and the way to it is long.
use owner::Dir;
use rustix::process::{Uid, geteuid};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long one way serves. Another folder may come to stand there.
const LIFETIME: Duration = Duration::from_millis(50);
/// Of so many folders: each is an open descriptor.
const MAX_ENTRIES: usize = 8;

struct CachedDir {
    at: Instant,
    path: PathBuf,
    /// By whom: how far one comes depends on it.
    by: Uid,
    dir: Rc<Dir>,
}

thread_local! {
    static CACHE: RefCell<Vec<CachedDir>> = const { RefCell::new(Vec::new()) };
}

/// The folder of this path, if it is one of those and still what it was, else where `walk` comes to.
pub(crate) fn get_or_open(path: &Path, walk: impl FnOnce() -> io::Result<Dir>) -> io::Result<Rc<Dir>> {
    let by = geteuid();
    let entries = CACHE.with_borrow_mut(|entries| {
        entries.retain(|cached| cached.at.elapsed() < LIFETIME);
        let index = entries.iter().position(|cached| cached.path == path && cached.by == by)?;
        if entries[index].dir.is_unchanged() {
            return Some(Rc::clone(&entries[index].dir));
        }
        entries.remove(index);
        None
    });
    if let Some(dir) = entries {
        return Ok(dir);
    }
    let dir = Rc::new(walk()?);
    let cached = CachedDir { at: Instant::now(), path: path.to_owned(), by, dir: Rc::clone(&dir) };
    CACHE.with_borrow_mut(|entries| {
        entries.truncate(MAX_ENTRIES - 1);
        entries.insert(0, cached);
    });
    Ok(dir)
}
