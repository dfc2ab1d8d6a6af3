//! A log that is being written.
use owner::Owner;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const LINES: usize = 20;
/// Where the last lines are looked for.
const TAIL_BYTES: u64 = 64 << 10;
/// As much as is read at once.
const MOST_BYTES: u64 = 1 << 20;

/// An open log, across rotations.
pub(crate) struct Log {
    /// Whose it is.
    pub(crate) user: Owner,
    path: PathBuf,
    pub(crate) file: File,
    inode: u64,
    /// A line that has not ended yet.
    pub(crate) begun: Vec<u8>,
}

impl Log {
    pub(crate) fn open(user: Owner, path: &Path) -> io::Result<Self> {
        let file = state::open_log(&user, path)?;
        let inode = file.metadata()?.ino();
        Ok(Self { user, path: path.to_owned(), file, inode, begun: Vec::new() })
    }

    /// The last lines of it.
    pub(crate) fn last_lines(&mut self) -> io::Result<String> {
        let length = self.file.metadata()?.len();
        self.file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let text = self.read()?;
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        Ok(lines[lines.len().saturating_sub(LINES)..].concat())
    }

    /// What was written since. When the keeper has gone on to another file, so do we, once ours is read to its end.
    pub(crate) fn more(&mut self, live: bool) -> io::Result<String> {
        let now = Self::open(self.user.clone(), &self.path);
        let next = now.ok().filter(|now| now.inode != self.inode);
        let mut text = self.read()?;
        if self.file.stream_position()? < self.file.metadata()?.len() {
            return Ok(text);
        }
        if let Some(next) = next {
            text.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.begun)));
            *self = next;
            text.push_str(&self.read()?);
        } else if !live {
            text.push_str(&String::from_utf8_lossy(&std::mem::take(&mut self.begun)));
        }
        Ok(text)
    }

    /// Whole lines, and what is too long for one, up to the end of the file or as much as is read at once.
    fn read(&mut self) -> io::Result<String> {
        (&self.file).take(MOST_BYTES).read_to_end(&mut self.begun)?;
        let whole = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole =
            if self.begun.len() as u64 >= MOST_BYTES && whole == 0 { self.begun.len() } else { whole };
        let rest = self.begun.split_off(whole);
        let lines = std::mem::replace(&mut self.begun, rest);
        Ok(String::from_utf8_lossy(&lines).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn no_line_is_lost_or_torn_across_a_rotation() {
        let path = std::env::temp_dir().join(format!("istat-follow-{}", std::process::id()));
        let rotated = path.with_extension("1");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntwo\nthr").unwrap();
        let mut log = Log::open(Owner::current(), &path).unwrap();
        assert_eq!(log.last_lines().unwrap(), "one\ntwo\n");
        assert_eq!(log.more(true).unwrap(), "");
        file.write_all(b"ee\nfour\n").unwrap();
        std::fs::rename(&path, &rotated).unwrap();
        std::fs::write(&path, "five\nsi").unwrap();
        assert_eq!(log.more(true).unwrap(), "three\nfour\nfive\n");
        assert_eq!(log.more(false).unwrap(), "si");
        assert_eq!(log.more(false).unwrap(), "");
        std::fs::remove_file(path).unwrap();
        std::fs::remove_file(rotated).unwrap();
    }
}
