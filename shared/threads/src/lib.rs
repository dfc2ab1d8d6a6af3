//! Threads, which the system may have none of to give: a limit on processes counts them too.
//!
//! `std::thread::spawn` and `Scope::spawn` panic there. Nothing in the project calls them; what must have a thread gets one
//! here or fails, and what can do without goes on without.
#![expect(clippy::disallowed_methods, reason = "/proc and /sys are the kernel's")]
use failure::{Code, Failure};
use rustix::process::{Resource, getrlimit};
use std::fs::read_to_string;
use std::io;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

/// Start a thread.
///
/// # Errors
/// Code 75: the system has none to give.
pub fn start<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    Builder::new().name(name.to_owned()).spawn(run).map_err(|error| refused(&error))
}

/// Start a thread of a scope.
///
/// # Errors
/// As [`start`].
pub fn start_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Failure> {
    Builder::new().name(name.to_owned()).spawn_scoped(scope, run).map_err(|error| refused(&error))
}

/// Act on all items at once and return what came of each, in their order. Each has a thread of its own but the last, and
/// those that the system has no thread for: this thread acts on them, one after another.
///
/// # Errors
/// Of one item: its thread has panicked, so there is no answer for it.
pub fn each<T: Sync, R: Send>(
    name: &str,
    items: &[T],
    act: impl Fn(&T) -> R + Sync,
) -> Vec<Result<R, Failure>> {
    let act = &act;
    std::thread::scope(|scope| {
        let mut started = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let builder = Builder::new().name(name.to_owned());
            let others = index + 1 < items.len();
            started.push(others.then(|| builder.spawn_scoped(scope, move || act(item)).ok()).flatten());
        }
        // All are started before this thread acts, and it acts before it waits.
        let mut begun = Vec::new();
        for (thread, item) in started.into_iter().zip(items) {
            begun.push(thread.ok_or_else(|| act(item)));
        }
        let finish = |begun: Result<ScopedJoinHandle<'_, R>, R>| match begun {
            Ok(thread) => thread.join().map_err(|_| no_answer(name)),
            Err(answer) => Ok(answer),
        };
        begun.into_iter().map(finish).collect()
    })
}

/// The failure of work whose thread has panicked.
#[must_use]
pub fn no_answer(name: &str) -> Failure {
    let cause = "its thread ended without an answer";
    Failure::new(Code::Unmet, format!("cannot finish '{name}'"), cause).hint("this is a fault of the tool")
}

/// The C library tries clone(2) only where clone3(2) is not there at all.
const FILTERED: &str = "a filter of this container forbids clone3, and has to answer ENOSYS for it: a newer container runtime \
                        does, and so does none (--security-opt seccomp=unconfined)";

/// The failure to start a thread, with the limit that was reached and what to do. Code 75.
#[must_use]
pub fn refused(error: &io::Error) -> Failure {
    let what = "cannot start a thread";
    match error.kind() {
        // No limit answers so.
        io::ErrorKind::PermissionDenied => Failure::io(Code::Unmet, what, error).hint(FILTERED),
        _ => Failure::io(Code::Later, what, error).hint(limit_hint()),
    }
}

/// The failure of doing `what` for which the system was asked for a process or a thread: code 75 where it has none to give,
/// else 69.
#[must_use]
pub fn unavailable(what: impl Into<String>, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::WouldBlock => Failure::io(Code::Later, what, error).hint(limit_hint()),
        _ => Failure::io(Code::Unmet, what, error),
    }
}

/// The failure to listen to signals, which takes a thread: as [`unavailable`].
#[must_use]
pub fn no_signals(error: &io::Error) -> Failure {
    let failure = unavailable("cannot listen to signals", error);
    if error.kind() == io::ErrorKind::PermissionDenied { failure.hint(FILTERED) } else { failure }
}

/// What to do where the system has no process or thread to give, with the limits that hold here.
#[must_use]
pub fn limit_hint() -> String {
    let user = getrlimit(Resource::Nproc).current.map(|most| format!("ulimit -u is {most}"));
    let group = pids_limit().map(|most| format!("the container's pids limit is {most}"));
    let limits: Vec<String> = user.into_iter().chain(group).collect();
    let limits = if limits.is_empty() { "ulimit -u, pids limit".to_owned() } else { limits.join(", ") };
    format!("processes and threads are limited ({limits}): end some, or raise the limit, and run again")
}

/// `pids.max` of our control group; `None` where there is no such limit.
fn pids_limit() -> Option<u64> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let of_line = |line: &str| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            "pids" => "/sys/fs/cgroup/pids",
            _ => return None,
        };
        // A container may see its own group as the root, whatever the path says.
        let read = |path: &str| read_to_string(format!("{root}{path}/pids.max")).ok();
        read(path.trim_end_matches('/')).or_else(|| read(""))?.trim().parse().ok()
    };
    groups.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_acted_on_and_answers_keep_their_order() {
        for count in [0_u32, 1, 2, 50] {
            let items: Vec<u32> = (0..count).collect();
            let answers: Vec<u32> =
                each("a test", &items, |item| item * 2).into_iter().map(Result::unwrap).collect();
            assert_eq!(answers, items.iter().map(|item| item * 2).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn a_thread_that_panics_is_a_failure_of_its_item_alone() {
        let answers = each("a test", &[1, 0, 2], |item| 10 / item);
        assert_eq!((answers[0].clone(), answers[2].clone()), (Ok(10), Ok(5)));
        assert_eq!(answers[1].clone().unwrap_err().code, Code::Unmet);
    }

    #[test]
    fn the_failure_says_what_to_raise() {
        let failure = refused(&io::Error::from_raw_os_error(11));
        assert_eq!(failure.code, Code::Later);
        assert!(failure.hint.unwrap().contains("raise the limit"));
        let failure = refused(&io::Error::from_raw_os_error(1));
        assert_eq!(failure.code, Code::Unmet);
        assert!(failure.hint.unwrap().contains("clone3"));
    }
}
