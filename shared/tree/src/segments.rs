//! Shared memory that processes leave in /dev/shm when they end: which of it is theirs, and its end.
//!
//! A file there says whose it is, but not who made it: a model may lie there too. So what may be removed is recorded while its
//! makers run, and only what `shm_open` makes: a file for its owner alone that was not there before they started and that one of
//! them has mapped to write to and to share.
use crate::Process;
use owner::{Dir, Owner};
use rustix::fs::{AtFlags, FileType, Stat, major, minor, stat, statat};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

const FOLDER: &str = "/dev/shm";
/// As much of a process's maps as is read: a hundred thousand lines.
const MAPS_BYTES: u64 = 16 << 20;

/// A file in /dev/shm that was seen to be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Segment {
    /// Its name there.
    pub name: String,
    /// Its inode.
    pub inode: u64,
}

/// What was in /dev/shm before an engine was started.
#[derive(Clone, Debug, Default)]
pub struct Baseline(HashSet<u64>);

impl Baseline {
    /// What is there now.
    #[must_use]
    pub fn now() -> Self {
        Self(entries().map(|(_, inode)| inode).collect())
    }

    /// What these processes of the user have made there since, as far as they have it mapped.
    #[must_use]
    pub fn created_by(&self, processes: &[Process], user: &Owner) -> Vec<Segment> {
        let Some(device) = device() else { return Vec::new() };
        let all = processes.iter().flat_map(|process| mapped(process.pid, device, user));
        let inodes: HashSet<u64> = all.filter(|inode| !self.0.contains(inode)).collect();
        if inodes.is_empty() {
            return Vec::new();
        }
        let Ok(folder) = Dir::open(Path::new(FOLDER)) else { return Vec::new() };
        let named = entries().filter(|(_, inode)| inodes.contains(inode));
        let mut found: Vec<Segment> = named.map(|(name, inode)| Segment { name, inode }).collect();
        found.retain(|segment| is_there(&folder, segment, user));
        found.sort();
        found
    }
}

/// Remove those of these segments that are still there and that no process has mapped any more. Returns their names.
pub fn remove(segments: &[Segment], user: &Owner) -> Vec<String> {
    let Ok(folder) = Dir::open_as(user, Path::new(FOLDER)) else { return Vec::new() };
    let mut left: Vec<&Segment> =
        segments.iter().filter(|segment| is_there(&folder, segment, user)).collect();
    let Some(device) = device().filter(|_| !left.is_empty()) else { return Vec::new() };
    for process in Process::all() {
        if Owner::of_process(process.pid).is_ok_and(|owner| owner == *user) {
            let used = mapped(process.pid, device, user);
            left.retain(|segment| !used.contains(&segment.inode));
        }
    }
    let removed = left.into_iter().filter(|segment| folder.remove(&segment.name).is_ok_and(|gone| gone));
    removed.map(|segment| segment.name.clone()).collect()
}

/// What is there: names and inodes.
fn entries() -> impl Iterator<Item = (String, u64)> {
    use std::os::unix::fs::DirEntryExt;
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.ino())))
}

/// The device that it is, as /proc writes one.
fn device() -> Option<(u32, u32)> {
    let device = stat(FOLDER).ok()?.st_dev;
    Some((major(device), minor(device)))
}

/// Whether it is that very file, and as `shm_open` makes one: the user's and for nobody else.
fn is_there(folder: &Dir, segment: &Segment, user: &Owner) -> bool {
    let name = Path::new(&segment.name);
    if name.components().count() != 1 || name.file_name().is_none() {
        return false;
    }
    let found = folder.act(|| statat(folder, name, AtFlags::SYMLINK_NOFOLLOW));
    let is_it = |stat: Stat| {
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        regular
            && stat.st_ino == segment.inode
            && stat.st_uid == user.uid()
            && stat.st_mode & 0o077 == 0
            && stat.st_nlink == 1
    };
    found.is_ok_and(|found| found.is_ok_and(is_it))
}

/// The inodes of what a process has mapped of it to write to and to share.
fn mapped(pid: u32, device: (u32, u32), user: &Owner) -> Vec<u64> {
    let Ok(Ok(maps)) = user.act(|| File::open(format!("/proc/{pid}/maps"))) else { return Vec::new() };
    BufReader::new(maps.take(MAPS_BYTES))
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| parse(&line, device))
        .collect()
}

/// `7f1a-7f1b rw-s 00000000 00:17 42   /dev/shm/psm_1`
///
/// A semaphore is mapped under a first name, which is gone once it has its own: `/dev/shm/sem.Ab1 (deleted)`. So it is known
/// by its inode.
fn parse(line: &str, device: (u32, u32)) -> Option<u64> {
    let (fields, path) = line.split_once(FOLDER)?;
    let name = path.strip_prefix('/')?;
    let mut fields = fields.split_ascii_whitespace().skip(1);
    let shared = fields.next()? == "rw-s";
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    let is_here =
        [major, minor].map(|number| u32::from_str_radix(number, 16)) == [Ok(device.0), Ok(device.1)];
    let inode = fields.next()?.parse().ok()?;
    let plain = !name.is_empty() && !name.contains('/');
    (shared && is_here && plain && fields.next().is_none()).then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shared_to_write_to_is_a_segment_whatever_its_name_was_then() {
        let segment = |line: &str| parse(line, (0, 0x17));
        for made in [
            "7f00-7f01 rw-s 00000000 00:17 42                         /dev/shm/psm_1a",
            "7f00-7f01 rw-s 00000000 00:17 42                         /dev/shm/sem.Xa81bC (deleted)",
        ] {
            assert_eq!(segment(made), Some(42), "{made}");
        }
        for other in [
            "7f00-7f01 r--s 00000000 00:17 42   /dev/shm/model.safetensors",
            "7f00-7f01 rw-p 00000000 00:17 42   /dev/shm/model.gguf",
            "7f00-7f01 rw-s 00000000 00:18 42   /dev/shm/psm_1a",
            "7f00-7f01 rw-s 00000000 00:17 42   /dev/shm/folder/a",
            "7f00-7f01 rw-s 00000000 00:17 42   /home/dev/shm/a",
            "7f00-7f01 rw-p 00000000 00:00 0    [stack]",
        ] {
            assert_eq!(segment(other), None, "{other}");
        }
    }
}
