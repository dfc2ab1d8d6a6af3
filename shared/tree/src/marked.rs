//! Processes that carry an instance's mark in their environment, wherever they have been reparented to.
use crate::Process;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Read /proc as the user `uid`: on a thread of its own that has become the user as far as files are concerned.
pub fn as_user<T: Send>(uid: u32, gid: u32, read: impl FnOnce() -> T + Send) -> Option<T> {
    let work = move || {
        become_for_files(uid, gid);
        read()
    };
    std::thread::scope(|scope| scope.spawn(work).join().ok())
}

/// Every live process of the user `uid` whose environment holds `INFER_DEV_INSTANCE=<mark>`, ourselves excepted.
///
/// Root without CAP_SYS_PTRACE, which is root in a container, cannot read another user's `/proc/PID/environ`; the user can.
/// So it is read on a thread of its own that has become the user as far as files are concerned, and ends afterwards.
#[must_use]
pub fn marked(mark: &str, uid: u32, gid: u32) -> Vec<Process> {
    let wanted = format!("{}={mark}", tool::vars::INFER_DEV_INSTANCE);
    let search = move || {
        become_for_files(uid, gid);
        let own = std::process::id();
        let mut found = Process::all();
        found.retain(|p| p.pid != own && !p.zombie && carries(p.pid, uid, &wanted));
        found
    };
    std::thread::spawn(search).join().unwrap_or_default()
}

/// The mark that a process carries, whoever's it is; `None` where it carries none or may not be looked at.
#[must_use]
pub fn mark(pid: u32) -> Option<String> {
    let folder = format!("/proc/{pid}");
    let owner = fs::metadata(&folder).ok()?;
    let environ = as_user(owner.uid(), owner.gid(), || fs::read(format!("{folder}/environ")))?.ok()?;
    let name = format!("{}=", tool::vars::INFER_DEV_INSTANCE);
    let value = |entry: &[u8]| entry.strip_prefix(name.as_bytes()).map(<[u8]>::to_vec);
    environ.split(|byte| *byte == 0).find_map(value).and_then(|mark| String::from_utf8(mark).ok())
}

fn carries(pid: u32, uid: u32, wanted: &str) -> bool {
    let ours = fs::metadata(format!("/proc/{pid}")).is_ok_and(|folder| folder.uid() == uid);
    let environ = |_| fs::read(format!("/proc/{pid}/environ")).ok();
    let has = |environ: Vec<u8>| environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes());
    ours.then_some(()).and_then(environ).is_some_and(has)
}

/// Of this thread only. It cannot fail for root, and for others there is nothing to change.
fn become_for_files(uid: u32, gid: u32) {
    // SAFETY: both calls take plain numbers and change only the calling thread.
    #[expect(unsafe_code, reason = "no safe wrapper of setfsuid(2) is at hand")]
    unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_with_the_mark_is_found_and_one_with_another_is_not() {
        let start = |mark: &str| {
            let mut command = std::process::Command::new("sleep");
            command.arg("60").env(tool::vars::INFER_DEV_INSTANCE, mark).spawn().unwrap()
        };
        let (mut ours, mut other) = (start("tree-test-1"), start("tree-test-2"));
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let found: Vec<u32> = marked("tree-test-1", uid, gid).iter().map(|p| p.pid).collect();
        assert_eq!(mark(other.id()).as_deref(), Some("tree-test-2"));
        assert_eq!(mark(std::process::id()), None);
        for child in [&mut ours, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(found, [ours.id()]);
    }
}
