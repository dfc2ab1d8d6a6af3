//! A bounded number of threads over a list of things to do.
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Act on each item once, on `jobs` threads; each thread has something of its own that it made first.
pub(crate) fn each<T: Send, O>(
    jobs: usize,
    items: &mut [T],
    own: impl Fn() -> O + Sync,
    act: impl Fn(&mut O, &mut T) + Sync,
) {
    let jobs = jobs.clamp(1, items.len().max(1));
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
    std::thread::scope(|scope| {
        // This thread is one of them, and does all of it where the system has no other to give.
        for _ in 1..jobs {
            if tool::thread::start_scoped(scope, "work", work).is_err() {
                break;
            }
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_once_however_many_threads() {
        for jobs in [0, 1, 3, 100] {
            let mut items: Vec<u32> = (0..50).collect();
            each(jobs, &mut items, || 1, |one, item| *item += *one);
            assert_eq!(items, (1..51).collect::<Vec<u32>>(), "{jobs}");
        }
        each(4, &mut Vec::<u32>::new(), || (), |(), _| {});
    }
}
