//! The lock that pixi holds on a cache as long as it installs from it, flock(2) on `pkgs/.cache.lock`. pixi waits for it
//! without a word and without an end; so it is waited for before pixi begins.
use failure::{Code, Failure};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, major, minor, openat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is asked for. flock(2) has no time limit of its own.
const INTERVAL: Duration = Duration::from_millis(50);

/// A shorter wait is not reported.
const NOTICE_AFTER: Duration = Duration::from_secs(10);

/// The kernel's list of all locks is short.
const LOCKS_BYTES: usize = 4 << 20;

/// Wait until nobody installs from the cache whose conda packages are in `pkgs`, at most `timeout`. A user who
/// may not even read the lock gets that failure from pixi.
///
/// # Errors
/// Somebody has held it all the time: 75, with who where that can be known.
pub fn wait_for_cache(pkgs: &Path, timeout: Duration) -> Result<(), Failure> {
    let path = pkgs.join(".cache.lock");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(file) = openat(CWD, &path, flags, Mode::empty()) else { return Ok(()) };
    let (start, mut told) = (Instant::now(), false);
    while flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK) {
        if start.elapsed() >= timeout {
            let what = format!("cannot lock {}", path.display());
            let cause = format!("{} has held it for {} s", holder(&file), timeout.as_secs());
            return Err(Failure::new(Code::Later, what, cause).hint("run again when it is done"));
        }
        if start.elapsed() >= NOTICE_AFTER && !std::mem::replace(&mut told, true) {
            log::warn!("waiting for {}, who holds {}", holder(&file), path.display());
        }
        std::thread::sleep(INTERVAL.min(timeout));
    }
    Ok(())
}

/// Who holds it, in words.
fn holder(file: &OwnedFd) -> String {
    let locks = owner::read_file(Path::new("/proc/locks"), LOCKS_BYTES).unwrap_or_default();
    let pid = fstat(file).ok().and_then(|stat| {
        let inode = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
        holder_of(&String::from_utf8_lossy(&locks), &inode)
    });
    let name = pid.and_then(|pid| owner::read_file(Path::new(&format!("/proc/{pid}/comm")), 64).ok());
    match (pid, name) {
        (Some(pid), Some(name)) => format!("process {pid} ({})", String::from_utf8_lossy(&name).trim_end()),
        (Some(pid), None) => format!("process {pid}"),
        (None, _) => "another program".to_owned(),
    }
}

/// The process whose lock on a file the kernel lists: `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`. One of another
/// container has no number here.
fn holder_of(locks: &str, inode: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, place, ..] = words[..] else { return None };
        (place == inode).then(|| pid.parse().ok().filter(|pid| *pid > 0)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_among_all_locks_and_who_waits_is_not_the_holder() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 08:01:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 08:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 4712 08:01:77 0 EOF\n3: FLOCK  ADVISORY  WRITE 0 08:01:78 0 EOF\n";
        assert_eq!(holder_of(locks, "08:01:77"), Some(4711));
        assert_eq!(holder_of(locks, "08:01:78"), None);
        assert_eq!(holder_of("", "08:01:77"), None);
    }

    #[test]
    fn it_is_waited_for_no_longer_than_it_is_held_or_than_one_has_patience() {
        let pkgs = std::env::temp_dir().join(format!("pixi-cache-lock-{}", std::process::id()));
        std::fs::create_dir_all(&pkgs).unwrap();
        assert!(wait_for_cache(&pkgs, Duration::ZERO).is_ok(), "there is none");
        let file = std::fs::File::create(pkgs.join(".cache.lock")).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        let failure = wait_for_cache(&pkgs, Duration::ZERO).unwrap_err();
        assert_eq!(failure.code, Code::Later);
        let we = format!("process {} (", std::process::id());
        assert!(
            failure.cause.starts_with(&we) || failure.cause.starts_with("another program"),
            "{failure:?}"
        );
        // Not by closing it: a child that another test is just starting has the descriptor too.
        flock(&file, FlockOperation::Unlock).unwrap();
        assert!(wait_for_cache(&pkgs, Duration::ZERO).is_ok());
        std::fs::remove_dir_all(pkgs).unwrap();
    }
}
