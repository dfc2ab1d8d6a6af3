//! Files that only grow, by one line at a time, from many writers at once.
use crate::Dir;
use crate::dir::{one_name, refused};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, statat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::thread;
use std::time::{Duration, Instant};

/// How long for another writer, who takes some microseconds; one that is stopped is not waited for.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(500);
/// More often than the file is renamed while one line is written.
const TRIES: usize = 8;

impl Dir {
    /// Add a line, given without its end, to a file, and make the file where it is missing, with these permissions. The line
    /// is whole, whoever else writes at the same moment: it is one write(2) to a file that is open to append. A file
    /// that is larger than `most` bytes by then is first renamed `NAME.1`, in the place of the one before, where it can be.
    ///
    /// # Errors
    /// What the system says, and as [`Dir::open_own`]; that the file is not of whoever writes, or has another name. On a full
    /// disk a part of the line that was written is taken back, unless somebody else has the lock: then the next line begins on
    /// a line of its own.
    pub fn append_line(&self, name: impl AsRef<OsStr>, mode: u32, line: &[u8], most: u64) -> io::Result<()> {
        let name = one_name(name.as_ref())?;
        let mut file = self.open_to_append(name, mode)?;
        let mut is_locked = false;
        for _ in 0..TRIES {
            is_locked = lock(&file);
            let is_full = is_locked && file.metadata()?.len() > most;
            if !is_locked || !is_full && self.is_at(name, &file)? {
                break;
            }
            // Whoever may not rename it may still add to it.
            if is_full && self.set_aside(name, &file).is_err() {
                break;
            }
            file = self.open_to_append(name, mode)?;
        }
        let size = file.metadata()?.len();
        let begin: &[u8] = if ends_a_line(&file, size)? { b"" } else { b"\n" };
        let whole = [begin, line, b"\n"].concat();
        match file.write(&whole)? {
            written if written == whole.len() => Ok(()),
            _ => {
                if is_locked {
                    file.set_len(size)?;
                }
                Err(Errno::NOSPC.into())
            }
        }
    }

    fn open_to_append(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let (file, stat) = self.open_regular(name, flags, Mode::from(mode))?;
        self.must_be_own(&stat)?;
        // To read, what root has put here will do. What is written here must not reach a file of somebody else.
        if ![self.actor.uid(), self.stat.st_uid].contains(&stat.st_uid) || stat.st_nlink > 1 {
            return Err(refused("it belongs to somebody else, or has another name"));
        }
        Ok(file)
    }

    /// Whether this name leads to the open file.
    fn is_at(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        let open = file.metadata()?;
        match self.act(|| statat(self, name, AtFlags::SYMLINK_NOFOLLOW))? {
            Ok(found) => Ok((found.st_dev, found.st_ino) == (open.dev(), open.ino())),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Rename a full file whose lock we have, unless another has done so.
    fn set_aside(&self, name: &OsStr, file: &File) -> io::Result<()> {
        if !self.is_at(name, file)? {
            return Ok(());
        }
        let mut old = OsString::from(name);
        old.push(".1");
        self.rename(name, old).map(drop)
    }
}

/// Whether a file of this size ends with a whole line. Somebody may just have made it shorter.
fn ends_a_line(file: &File, size: u64) -> io::Result<bool> {
    let Some(before) = size.checked_sub(1) else { return Ok(true) };
    let mut last = *b"\n";
    file.read_at(&mut last, before)?;
    Ok(last == *b"\n")
}

/// Have the file to ourselves, unless somebody else has it for too long. It ends with the descriptor.
fn lock(file: &File) -> bool {
    let until = Instant::now() + PATIENCE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return true,
            Err(Errno::WOULDBLOCK) if Instant::now() < until => thread::sleep(PAUSE),
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::thread;

    const NAME: &str = "log";

    /// A folder of its own, which goes with it.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("owner-append-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(name)).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn lines_of_many_writers_are_whole_and_none_is_lost_where_the_file_is_renamed_once() {
        const WRITERS: usize = 8;
        const LINES: usize = 200;
        // Longer than a pipe would keep whole.
        const LENGTH: usize = 6000;
        let folder = Folder::new("many");
        let most = u64::try_from(WRITERS * LINES * LENGTH / 2).unwrap();
        let write = |writer: usize| {
            let dir = Dir::open(&folder.0).unwrap();
            let line = vec![b'a' + u8::try_from(writer).unwrap(); LENGTH];
            (0..LINES).for_each(|_| dir.append_line(NAME, 0o600, &line, most).unwrap());
        };
        thread::scope(|scope| (0..WRITERS).for_each(|writer| drop(scope.spawn(move || write(writer)))));
        let all = folder.read("log.1") + &folder.read(NAME);
        let whole = |line: &&str| line.len() == LENGTH && line.bytes().all(|byte| byte == line.as_bytes()[0]);
        assert_eq!(all.lines().filter(whole).count(), WRITERS * LINES);
        assert_eq!(all.lines().count(), WRITERS * LINES);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2);
    }

    #[test]
    fn a_line_that_was_cut_short_stays_alone() {
        let folder = Folder::new("short");
        let dir = Dir::open(&folder.0).unwrap();
        fs::write(folder.0.join(NAME), "whole\nhal").unwrap();
        for line in ["next", "last"] {
            dir.append_line(NAME, 0o600, line.as_bytes(), 1000).unwrap();
        }
        assert_eq!(folder.read(NAME), "whole\nhal\nnext\nlast\n");
    }

    #[test]
    fn the_one_before_gives_way_when_the_file_is_full_again() {
        let folder = Folder::new("full");
        let dir = Dir::open(&folder.0).unwrap();
        for number in 0..5 {
            dir.append_line(NAME, 0o600, format!("line {number}").as_bytes(), 10).unwrap();
        }
        assert_eq!(
            (folder.read("log.1"), folder.read(NAME)),
            ("line 2\nline 3\n".to_owned(), "line 4\n".to_owned())
        );
    }
}
