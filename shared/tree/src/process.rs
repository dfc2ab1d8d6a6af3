//! Processes and their descent, from `/proc/PID/stat`.
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};

/// The flag of the kernel's threads. Their ids are no sign: a container has its own 2.
const PF_KTHREAD: u32 = 0x0020_0000;

/// One process, as `/proc/PID/stat` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// It has ended and waits to be reaped.
    pub zombie: bool,
    /// When it started, in clock ticks since boot: with the id, this distinguishes it from a later process of the same id.
    pub started: u64,
    /// A thread of the kernel.
    pub(crate) kernel: bool,
}

impl Process {
    /// The process of this id; `None` when there is none.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        Self::try_read(pid).ok()?
    }

    /// The same for whoever must miss none: `None` for one that has gone.
    pub(crate) fn try_read(pid: u32) -> io::Result<Option<Self>> {
        match read_short(&format!("/proc/{pid}/stat")) {
            Ok(stat) => Ok(Self::parse(pid, &stat)),
            Err(error) if is_hidden(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What its program is called, on one line; any user's process can call itself anything.
    #[must_use]
    pub fn name(pid: u32) -> Option<String> {
        let name = read_short(&format!("/proc/{pid}/comm")).ok()?;
        Some(text::one_line(name.trim_end()))
    }

    /// Every process that we can see, for a look: none where /proc cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        pids().unwrap_or_default().into_iter().filter_map(Self::read).collect()
    }

    /// The name in parentheses may hold anything, parentheses too: the fields are counted from the last one.
    fn parse(pid: u32, stat: &str) -> Option<Self> {
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        // The parent was field 4, the flags are field 9, the number of threads is field 20, the start time field 22.
        let flags: u32 = fields.nth(4)?.parse().ok()?;
        let threads: u32 = fields.nth(10)?.parse().ok()?;
        let started = fields.nth(1)?.parse().ok()?;
        // A first thread that has ended before the others looks like a zombie, but the process lives.
        let zombie = ended && threads <= 1;
        Some(Self { pid, parent, zombie, started, kernel: flags & PF_KTHREAD != 0 })
    }
}

/// The ids of all processes that we can see.
///
/// # Errors
/// /proc cannot be read.
pub(crate) fn pids() -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(found)
}

/// What the kernel says in a few hundred bytes, in one read(2): machines have thousands of processes.
pub(crate) fn read_short(path: &str) -> io::Result<String> {
    let mut text = [0; 4096];
    let count = fs::File::open(path)?.read(&mut text)?;
    Ok(String::from_utf8_lossy(&text[..count]).into_owned())
}

/// Whether an error of /proc/PID says that the process has gone, or is nobody's business of ours.
pub(crate) fn is_hidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// Every process that descends from `ancestor`, zombies and itself excepted, nearest first. Whoever is reparented to a
/// subreaper stays in its descent, so none escapes by forking twice.
#[must_use]
pub fn descendants(ancestor: u32) -> Vec<Process> {
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    for process in Process::all() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<Process> = children.remove(&ancestor).unwrap_or_default();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.remove(&process.pid).unwrap_or_default());
        next += 1;
    }
    found.retain(|process| !process.zombie);
    found
}

/// The same without a look at every process of the machine, where the kernel lists children. One that loses its parent
/// while we look may be missed, so this is for looking and not for ending.
#[must_use]
pub fn family(ancestor: u32) -> Vec<Process> {
    let Some(mut pids) = children(ancestor) else { return descendants(ancestor) };
    let mut next = 0;
    while let Some(pid) = pids.get(next) {
        pids.extend(children(*pid).unwrap_or_default());
        next += 1;
    }
    pids.into_iter().filter_map(Process::read).filter(|process| !process.zombie).collect()
}

/// The children of all of a process's threads; `None` where the kernel does not list them.
pub(crate) fn children(pid: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let list = children_of_thread(&thread.path().join("children")).ok()?;
        found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Some(found)
}

/// Engines have hundreds of threads, and nearly none has a child: then one read(2) has it all.
fn children_of_thread(list: &std::path::Path) -> io::Result<String> {
    let (mut file, mut begin) = (fs::File::open(list)?, [0; 1024]);
    let count = file.read(&mut begin)?;
    let mut text = String::from_utf8_lossy(&begin[..count]).into_owned();
    if count > begin.len() / 2 {
        file.read_to_string(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) S 1 (b) R 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 99 1 0";
        let expected = Process { pid: 7, parent: 3, zombie: false, started: 4242, kernel: false };
        assert_eq!(Process::parse(7, stat), Some(expected));
    }

    #[test]
    fn a_thread_of_the_kernel_is_known_by_its_flags_and_not_by_its_id() {
        let kernel = |flags| {
            let stat = format!("2 (a) S 0 0 0 0 -1 {flags} 0 0 0 0 0 2 0 0 20 0 1 0 31 0 0");
            Process::parse(2, &stat).unwrap().kernel
        };
        assert_eq!((kernel(2_129_984), kernel(4_194_560)), (true, false));
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_lives_as_long_as_the_others() {
        let stat = |threads| format!("7 (a) Z 3 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 {threads} 0 4242 99");
        assert!(!Process::parse(7, &stat(2)).unwrap().zombie);
        assert!(Process::parse(7, &stat(1)).unwrap().zombie);
    }

    #[test]
    fn we_descend_from_our_parent() {
        let own = Process::read(std::process::id()).unwrap();
        assert!(descendants(own.parent).contains(&own));
        assert!(family(own.parent).contains(&own));
    }
}
