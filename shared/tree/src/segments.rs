//! Shared memory that processes leave in /dev/shm when they end: which of it is theirs, and its end.
//!
//! A file there says whose it is, but not who made it: a model may lie there too. So what may be removed is recorded while its
//! makers run, and only what `shm_open` makes: a file for its owner alone that was not there before they started and that one of
//! them has mapped to write to and to share.
use crate::Process;
use owner::{Dir, Owner};
use rustix::fs::{AtFlags, FileType, Stat, statat};
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
pub struct Before(HashSet<u64>);

impl Before {
    /// What is there now.
    #[must_use]
    pub fn now() -> Self {
        use std::os::unix::fs::DirEntryExt;
        let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
        Self(entries.map(|entry| entry.ino()).collect())
    }

    /// What these processes of the user have made there since, as far as they have it mapped.
    #[must_use]
    pub fn made_by(&self, processes: &[Process], user: &Owner) -> Vec<Segment> {
        let mut found: Vec<Segment> =
            processes.iter().flat_map(|process| mapped(process.pid, user)).collect();
        found.sort();
        found.dedup();
        let folder = Dir::open(Path::new(FOLDER));
        found.retain(|segment| {
            !self.0.contains(&segment.inode)
                && folder.as_ref().is_ok_and(|folder| is_there(folder, segment, user))
        });
        found
    }
}

/// Remove those of these segments that are still there and that no process has mapped any more. Returns their names.
pub fn remove(segments: &[Segment], user: &Owner) -> Vec<String> {
    let Ok(folder) = Dir::open_as(user, Path::new(FOLDER)) else { return Vec::new() };
    let mut left: Vec<&Segment> =
        segments.iter().filter(|segment| is_there(&folder, segment, user)).collect();
    if left.is_empty() {
        return Vec::new();
    }
    for process in Process::all() {
        if Owner::of_process(process.pid).is_ok_and(|owner| owner == *user) {
            let used = mapped(process.pid, user);
            left.retain(|segment| !used.contains(segment));
        }
    }
    let removed = left.into_iter().filter(|segment| folder.remove(&segment.name).is_ok_and(|gone| gone));
    removed.map(|segment| segment.name.clone()).collect()
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

/// What a process has mapped of it to write to and to share.
fn mapped(pid: u32, user: &Owner) -> Vec<Segment> {
    let Ok(Ok(maps)) = user.act(|| File::open(format!("/proc/{pid}/maps"))) else { return Vec::new() };
    BufReader::new(maps.take(MAPS_BYTES))
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| parse(&line))
        .collect()
}

/// `7f1a-7f1b rw-s 00000000 00:17 42   /dev/shm/psm_1`
fn parse(line: &str) -> Option<Segment> {
    let (fields, path) = line.split_once(FOLDER)?;
    let name = path.strip_prefix('/')?;
    let mut fields = fields.split_ascii_whitespace().skip(1);
    let shared = fields.next()? == "rw-s";
    let inode = fields.nth(2)?.parse().ok()?;
    let plain = !name.is_empty() && !name.contains('/') && !name.ends_with(" (deleted)");
    (shared && plain && fields.next().is_none()).then(|| Segment { name: name.to_owned(), inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shared_to_write_to_and_still_has_a_name_is_a_segment() {
        let segment = |line: &str| parse(line).map(|segment| (segment.name, segment.inode));
        let made = "7f00-7f01 rw-s 00000000 00:17 42                         /dev/shm/psm_1a";
        assert_eq!(segment(made), Some(("psm_1a".to_owned(), 42)));
        for other in [
            "7f00-7f01 r--s 00000000 00:17 42   /dev/shm/model.safetensors",
            "7f00-7f01 rw-p 00000000 00:17 42   /dev/shm/model.gguf",
            "7f00-7f01 rw-s 00000000 00:17 42   /dev/shm/psm_1a (deleted)",
            "7f00-7f01 rw-s 00000000 00:17 42   /dev/shm/folder/a",
            "7f00-7f01 rw-s 00000000 00:17 42   /home/dev/shm/a",
            "7f00-7f01 rw-p 00000000 00:00 0    [stack]",
        ] {
            assert_eq!(segment(other), None, "{other}");
        }
    }
}
