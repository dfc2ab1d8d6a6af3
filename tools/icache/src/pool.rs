//! A bounded number of threads over a list of things to do.
use crate::reader::Reader;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads, and with whose rights they read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool<'a> {
    pub(crate) jobs: usize,
    pub(crate) reader: &'a Reader,
}

impl Pool<'_> {
    /// Act on each item once; each thread has something of its own that it made first.
    ///
    /// # Errors
    /// A thread may not have the reader's rights; then not all was done.
    pub(crate) fn each<T: Send, O>(
        self,
        items: &mut [T],
        own: impl Fn() -> O + Sync,
        act: impl Fn(&mut O, &mut T) + Sync,
    ) -> io::Result<()> {
        let jobs = self.jobs.clamp(1, items.len().max(1));
        let items: Vec<Mutex<&mut T>> = items.iter_mut().map(Mutex::new).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut own = own();
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                // Each is locked once, by the thread that drew its number.
                if let Ok(mut item) = item.lock() {
                    act(&mut own, &mut item);
                }
            }
        };
        let refused = Mutex::new(None);
        let work_as_reader = || {
            if let (Err(error), Ok(mut refused)) = (self.reader.act(work), refused.lock()) {
                *refused = Some(error);
            }
        };
        std::thread::scope(|scope| {
            // This thread is one of them, and does all of it where the system has no other to give.
            for _ in 1..jobs {
                if tool::thread::start_scoped(scope, "work", work_as_reader).is_err() {
                    break;
                }
            }
            work_as_reader();
        });
        refused.into_inner().unwrap_or_default().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_once_however_many_threads() {
        let reader = Reader::of(None).unwrap();
        for jobs in [0, 1, 3, 100] {
            let mut items: Vec<u32> = (0..50).collect();
            Pool { jobs, reader: &reader }.each(&mut items, || 1, |one, item| *item += *one).unwrap();
            assert_eq!(items, (1..51).collect::<Vec<u32>>(), "{jobs}");
        }
        Pool { jobs: 4, reader: &reader }.each(&mut Vec::<u32>::new(), || (), |(), _| {}).unwrap();
    }
}
