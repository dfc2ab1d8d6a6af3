//! Processes that carry an instance's mark in their environment, wherever they have been reparented to.
use crate::Process;
use crate::process::is_hidden;
use owner::Owner;
use std::fs;
use std::io::{self, Read};
use std::time::Duration;

/// How often an environment that is empty is looked at, and the pause between: together far longer than an execve(2) takes.
const LOOKS: usize = 10;
/// More than the kernel lets a program start with.
const LARGEST: usize = 8 << 20;
const EXECUTING: Duration = Duration::from_millis(2);

/// Every live process of this user whose environment holds `INFER_DEV_INSTANCE=<mark>`, ourselves excepted.
///
/// Root without CAP_SYS_PTRACE, which is root in a container, cannot read another user's `/proc/PID/environ`; the user can.
/// So each is read with the rights of its own user.
#[must_use]
pub fn marked(mark: &str, user: &Owner) -> Vec<Process> {
    all_marked(mark, user).unwrap_or_default()
}

/// The same for whoever must miss none.
///
/// # Errors
/// /proc cannot be read, or not what it says of a process that is there.
pub(crate) fn all_marked(mark: &str, user: &Owner) -> io::Result<Vec<Process>> {
    let own = std::process::id();
    let mut theirs = Vec::new();
    for process in Process::listed()?.into_iter().filter(|p| p.pid != own && !p.zombie) {
        match Owner::of_process(process.pid) {
            Ok(owner) if owner == *user => theirs.push(process),
            Err(error) if !is_hidden(&error) => return Err(error),
            _ => {}
        }
    }
    let mut unread = None;
    let found = marks(environments(theirs, &mut unread));
    match unread {
        Some(error) => Err(error),
        None => {
            Ok(found.into_iter().filter(|(_, m)| m == mark.as_bytes()).map(|(process, _)| process).collect())
        }
    }
}

/// The mark that a process carries, whoever's it is; `None` where it carries none or may not be looked at.
#[must_use]
pub fn mark(pid: u32) -> Option<String> {
    let (_, mark) = marks(environments(vec![Process::read(pid)?], &mut None)).pop()?;
    String::from_utf8(mark).ok()
}

/// Those that carry a mark, each with its own.
fn marks(environments: Vec<(Process, Vec<u8>)>) -> Vec<(Process, Vec<u8>)> {
    let carried = |(process, environ): (Process, Vec<u8>)| {
        Some((process, variable(&environ, tool::vars::INFER_DEV_INSTANCE)?.to_vec()))
    };
    environments.into_iter().filter_map(carried).collect()
}

/// A variable's value.
pub(crate) fn variable<'a>(environ: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut entries = environ.split(|byte| *byte == 0);
    entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The environments of those that may be looked at. A process that is just executing another program shows an empty one
/// for a moment, so those are looked at again; a kernel thread never has one. `unread`: why one of them is missing that is
/// there and may be looked at.
pub(crate) fn environments(
    processes: Vec<Process>,
    unread: &mut Option<io::Error>,
) -> Vec<(Process, Vec<u8>)> {
    let mut found = Vec::new();
    let mut unclear = processes;
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(EXECUTING);
        }
        let mut empty = Vec::new();
        for process in unclear {
            match environment(process.pid) {
                Ok(environ) if environ.is_empty() && !process.kernel => empty.push(process),
                Ok(environ) => found.push((process, environ)),
                Err(error) if is_hidden(&error) => {}
                Err(error) => drop(unread.get_or_insert(error)),
            }
        }
        unclear = empty;
        if unclear.is_empty() {
            break;
        }
    }
    found
}

/// In one read(2): what is read in pieces is cut short where the process executes another program between two of them.
fn environment(pid: u32) -> io::Result<Vec<u8>> {
    let mut environ = vec![0; 256 << 10];
    let owner = Owner::of_process(pid)?;
    loop {
        let mut file = owner.act(|| fs::File::open(format!("/proc/{pid}/environ")))??;
        let count = file.read(&mut environ)?;
        if count < environ.len() || count >= LARGEST {
            environ.truncate(count);
            return Ok(environ);
        }
        environ.resize(2 * count, 0);
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
        let found: Vec<u32> = marked("tree-test-1", &Owner::current()).iter().map(|p| p.pid).collect();
        assert_eq!(mark(other.id()).as_deref(), Some("tree-test-2"));
        assert_eq!(mark(std::process::id()), None);
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
        fs::write(&file, script).unwrap();
        let mut command = std::process::Command::new("sh");
        command.arg(&file).arg("0").env(tool::vars::INFER_DEV_INSTANCE, "tree-test-3");
        let mut child = command.spawn().unwrap();
        let missed = (0..200).filter(|_| marked("tree-test-3", &Owner::current()).is_empty()).count();
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(missed, 0);
    }
}
