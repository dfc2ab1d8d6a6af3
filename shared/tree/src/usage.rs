//! What processes hold and have read.
use crate::Process;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// What a set of processes holds and has done, summed. Whoever went away or may not be looked at counts nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory; pages that several share are counted for each.
    pub rss_bytes: u64,
    /// Bytes read, from the disk or its cache, pipes included.
    pub read_bytes: u64,
}

/// What these processes hold and have read so far.
#[must_use]
pub fn usage(processes: &[Process]) -> Usage {
    let mut sum = Usage::default();
    for process in processes {
        let folder = format!("/proc/{}", process.pid);
        let folder = Path::new(&folder);
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        sum.rss_bytes += field(&text("status"), "VmRSS:") << 10;
        sum.read_bytes += read(&text("io"));
    }
    sum
}

/// The processor time that a process has used, `with_family` its descendants too. Those that have ended count nothing.
#[must_use]
pub fn processor_time(pid: u32, with_family: bool) -> Duration {
    let others = if with_family { crate::family(pid) } else { Vec::new() };
    let pids = others.iter().map(|process| process.pid).chain([pid]);
    let ticks: u64 = pids.filter_map(ticks).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

/// Fields 14 and 15 of `/proc/PID/stat`: in user mode and in the kernel.
fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// `rchar` counts read(2), from the cache too; `read_bytes` is what came from the disk, and alone sees a file that is
/// mapped. What was read from the disk by read(2) is in both, so the larger one is nearer the truth than the sum.
fn read(io: &str) -> u64 {
    field(io, "rchar:").max(field(io, "read_bytes:"))
}

/// The number behind a name, 0 where there is none.
fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_hold_memory_and_have_read() {
        let own = Process::read(std::process::id()).unwrap();
        let before = usage(&[own]);
        assert!(before.rss_bytes > 100_000 && before.read_bytes > 0, "{before:?}");
        fs::read("/proc/self/exe").unwrap();
        assert!(usage(&[own]).read_bytes > before.read_bytes + 100_000);
    }

    #[test]
    fn work_takes_processor_time_and_a_sleep_does_not() {
        let own = std::process::id();
        let before = processor_time(own, false);
        while processor_time(own, true) < before + Duration::from_millis(50) {
            std::hint::black_box((0..100_000).sum::<u64>());
        }
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(processor_time(child.id(), true) < Duration::from_secs(1));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_mapped_file_shows_only_in_what_the_disk_gave() {
        assert_eq!(read("rchar: 10\nwchar: 1\nread_bytes: 4096\n"), 4096);
        assert_eq!(read(""), 0);
    }
}
