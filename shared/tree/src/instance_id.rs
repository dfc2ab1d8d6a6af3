//! Processes that carry an instance id in their environment, wherever they have been reparented to.
use crate::Process;
use crate::process::{is_hidden, pids, read_short};
use owner::Owner;
use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// For how long an environment that is empty is looked at again, and the pause between. An execve(2) takes far less, but on a
/// busy machine it may wait long for a core in its midst, and the next look may meet the next execve.
const EXECUTING: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(2);
/// The kernel's flag of a process that is ending (PF_EXITING), which has no environment any more.
const EXITING: u32 = 4;
/// Larger than nearly all of them, and more than the kernel lets a program start with.
const USUAL: usize = 256 << 10;
const LARGEST: usize = 8 << 20;

/// Every live process of this user whose environment holds `INFER_DEV_INSTANCE=<instance_id>`, ourselves excepted.
///
/// Root without CAP_SYS_PTRACE, which is root in a container, cannot read another user's `/proc/PID/environ`; the user can.
/// So what we may not read is read with the rights of its own user.
#[must_use]
pub fn find_by_instance_id(instance_id: &str, user: &Owner) -> Vec<Process> {
    try_find_by_instance_id(instance_id, user).unwrap_or_default()
}

/// The same for whoever must miss none.
///
/// # Errors
/// /proc cannot be read, or not what it says of a process that is there.
pub(crate) fn try_find_by_instance_id(instance_id: &str, user: &Owner) -> io::Result<Vec<Process>> {
    let own = std::process::id();
    let mut theirs = Vec::new();
    for pid in pids()?.into_iter().filter(|pid| *pid != own) {
        match Owner::of_process(pid) {
            Ok(owner) if owner == *user => theirs.push(pid),
            Err(error) if !is_hidden(&error) => return Err(error),
            _ => {}
        }
    }
    let mut unread = None;
    let carries = |environ: &[u8]| (instance_id_in(environ)? == instance_id.as_bytes()).then_some(());
    let found = environments(theirs, carries, &mut unread);
    unread.map_or(Ok(found.into_iter().map(|(process, ())| process).collect()), Err)
}

/// The instance id that a process carries, of any user; `None` where it carries none or its environment cannot be read.
#[must_use]
pub fn instance_id(pid: u32) -> Option<String> {
    let (_, instance_id) =
        environments(vec![pid], |environ| instance_id_in(environ).map(<[u8]>::to_vec), &mut None).pop()?;
    String::from_utf8(instance_id).ok()
}

fn instance_id_in(environ: &[u8]) -> Option<&[u8]> {
    variable(environ, variables::INFER_DEV_INSTANCE)
}

/// A variable's value.
pub(crate) fn variable<'a>(environ: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut entries = environ.split(|byte| *byte == 0);
    entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// What is wanted of the environments of those that live and may be looked at, and that have it. `unread`: why one of them is
/// missing that is there and may be looked at.
///
/// The environment comes first, because most processes have nothing that is wanted, and the kernel's threads and the dead
/// have none to open.
pub(crate) fn environments<T>(
    pids: Vec<u32>,
    wanted: impl Fn(&[u8]) -> Option<T>,
    unread: &mut Option<io::Error>,
) -> Vec<(Process, T)> {
    let (mut found, mut unclear, mut environ) = (Vec::new(), pids, vec![0; USUAL]);
    let start = Instant::now();
    loop {
        let mut empty = Vec::new();
        for pid in unclear {
            let seen = environment(pid, &mut environ).and_then(|count| match count {
                0 => {
                    if is_executing(pid)? {
                        empty.push(pid);
                    }
                    Ok(None)
                }
                count => {
                    wanted(&environ[..count]).map_or(Ok(None), |it| Ok(Process::try_read(pid)?.zip(Some(it))))
                }
            });
            match seen {
                Ok(seen) => found.extend(seen.filter(|(process, _)| !process.zombie)),
                Err(error) if is_hidden(&error) => {}
                Err(error) => drop(unread.get_or_insert(error)),
            }
        }
        if empty.is_empty() || start.elapsed() > EXECUTING {
            return found;
        }
        unclear = empty;
        std::thread::sleep(PAUSE);
    }
}

/// Whether a process whose environment was read as empty may be one that executes another program: the descriptor may be of
/// the program before, and the process have the environment of the next one by now. Before it has that, the kernel says that
/// it has no place, and for a moment that it has a place and no length (fs/binfmt_elf.c, `create_elf_tables`), which is said
/// of a process without an environment, too: that one sleeps most of the time, and who executes does not. The kernel's threads
/// and the dead never have one.
fn is_executing(pid: u32) -> io::Result<bool> {
    let Some(process) = Process::try_read(pid)? else { return Ok(false) };
    if process.kernel || process.zombie {
        return Ok(false);
    }
    let stat = Owner::of_process(pid)?.act(|| read_short(&format!("/proc/{pid}/stat")))??;
    // The state, field 3, is the first behind the name. Field 9 is the flags; 50 and 51 are the environment's start and end.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').collect();
    let flags = fields.get(6).and_then(|flags| flags.parse::<u32>().ok()).unwrap_or_default();
    let (sleeps, start, end) = (fields.first() == Some(&"S"), fields.get(47), fields.get(48));
    let has_none = end.is_some_and(|end| *end != "0") && start == end && sleeps;
    Ok(flags & EXITING == 0 && !has_none)
}

/// In one read(2): what is read in pieces is cut short where the process executes another program between two of them.
fn environment(pid: u32, environ: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        let count = open(pid)?.read(environ)?;
        if count < environ.len() || count >= LARGEST {
            return Ok(count);
        }
        environ.resize(2 * count, 0);
    }
}

/// The file is the kernel's: no user can put another one in its place. What we may not see its user may.
fn open(pid: u32) -> io::Result<File> {
    let open = || File::open(format!("/proc/{pid}/environ"));
    match open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let owner = Owner::of_process(pid)?;
            if owner.is_current() { Err(error) } else { owner.act(open)? }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_with_the_id_is_found_and_one_with_another_is_not() {
        let start = |instance_id: &str| {
            let mut command = std::process::Command::new("sleep");
            command.arg("60").env(variables::INFER_DEV_INSTANCE, instance_id).spawn().unwrap()
        };
        let (mut ours, mut other) = (start("tree-test-1"), start("tree-test-2"));
        let found: Vec<u32> =
            find_by_instance_id("tree-test-1", &Owner::current()).iter().map(|p| p.pid).collect();
        assert_eq!(instance_id(other.id()).as_deref(), Some("tree-test-2"));
        assert_eq!(instance_id(std::process::id()), None);
        for child in [&mut ours, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(found, [ours.id()]);
    }

    #[test]
    fn one_that_executes_program_after_program_is_always_found() {
        let script = "n=0; [ $1 -lt 2000 ] && exec sh \"$0\" $(($1 + 1)); sleep 60";
        let file = std::env::temp_dir().join(format!("tree-exec-{}", std::process::id()));
        std::fs::write(&file, script).unwrap();
        let mut command = std::process::Command::new("sh");
        command.arg(&file).arg("0").env(variables::INFER_DEV_INSTANCE, "tree-test-3");
        let mut child = command.spawn().unwrap();
        let missed =
            (0..200).filter(|_| find_by_instance_id("tree-test-3", &Owner::current()).is_empty()).count();
        child.kill().unwrap();
        child.wait().unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(missed, 0);
    }
}
