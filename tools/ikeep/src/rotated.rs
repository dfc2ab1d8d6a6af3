//! A log file that gives way to a new one when it is full.
use crate::event::Event;
use state::Note;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

/// A line of up to this length is never torn: so much room is left in a file for its last line to end.
const LINE_BYTES: u64 = 64 << 10;

/// Who is notified of lost lines.
pub(crate) struct Loss {
    pub(crate) total: Arc<AtomicU64>,
    pub(crate) events: Sender<Event>,
}

/// The file. It is rotated between two lines, and inside a line only where that has no end.
pub(crate) struct Rotated {
    path: PathBuf,
    file: File,
    /// What of the file is there for good, because it could not be rotated.
    kept: u64,
    /// The bytes after that.
    size: u64,
    max: u64,
    keep: u32,
    /// Where the line that is being written began; 0 also for one that began in the file before.
    line_start: u64,
    /// Since the last line that was written.
    lost_lines: u64,
    loss: Loss,
    /// The last line that was lost has not ended yet; what follows of it is lost too.
    losing: bool,
}

impl Rotated {
    /// Go on where the file ends. `max` is its most bytes, `keep` how many older ones there are.
    pub(crate) fn open(path: &Path, (max, keep): (u64, u32), loss: Loss) -> io::Result<Self> {
        let mut file = open(path)?;
        let size = file.seek(SeekFrom::End(0)).unwrap_or(0);
        let (path, line_start) = (path.to_owned(), size);
        let mut opened =
            Self { path, file, kept: 0, size, max, keep, line_start, lost_lines: 0, loss, losing: false };
        if opened.ends_within_a_line() {
            drop(opened.try_put(b"\n"));
        }
        Ok(opened)
    }

    /// Append, rotating as often as it takes. Nothing that was said is held back.
    pub(crate) fn write(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            let end = self.fits(text);
            self.put(&text[..end]);
            if end == text.len() {
                return;
            }
            self.rotate();
            text = &text[end..];
        }
    }

    /// A line of the keeper's own, which begins a line of the log whatever the engine has written before.
    pub(crate) fn note(&mut self, line: &str) {
        let end = if self.is_between_lines() { "" } else { "\n" };
        self.write(format!("{end}{line}\n").as_bytes());
    }

    /// Whether the keeper before us was killed with half a line written.
    fn ends_within_a_line(&self) -> bool {
        let mut last = [0];
        let at = self.size.checked_sub(1);
        let read = at.map(|at| File::open(&self.path).and_then(|file| file.read_exact_at(&mut last, at)));
        matches!(read, Some(Ok(()))) && last != *b"\n"
    }

    /// Whether what is written next begins a line.
    pub(crate) fn is_between_lines(&self) -> bool {
        self.losing || self.line_start == self.size
    }

    /// How much of the text belongs into this file. Where that is not all, the file gives way.
    fn fits(&self, text: &[u8]) -> usize {
        let room = |most: u64| usize::try_from(most.saturating_sub(self.size)).unwrap_or(usize::MAX);
        // New lines begin in this part of the file; the rest is for the last one to end.
        let room_to_begin = room(self.max - LINE_BYTES.min(self.max / 2));
        if text.len() <= room_to_begin {
            return text.len();
        }
        let begin = &text[..room_to_begin];
        if let Some(last) = begin.iter().rposition(|byte| *byte == b'\n') {
            return last + 1;
        }
        if self.is_between_lines() && self.size > 0 {
            return 0;
        }
        let rest = &text[..text.len().min(room(self.max))];
        rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1)
    }

    /// Write whole or not at all.
    fn put(&mut self, mut text: &[u8]) {
        if self.losing {
            let Some(at) = text.iter().position(|byte| *byte == b'\n') else { return };
            text = &text[at + 1..];
            self.losing = false;
        }
        if text.is_empty() {
            return;
        }
        let put = if self.lost_lines > 0 { self.put_after_loss(text) } else { self.try_put(text) };
        if put.is_err() {
            self.losing = !text.ends_with(b"\n");
            let lines = text.iter().filter(|byte| **byte == b'\n').count();
            let lines = lines as u64 + u64::from(self.losing);
            self.loss.total.fetch_add(lines, Ordering::Relaxed);
            if self.lost_lines == 0 {
                self.loss.events.send(Event::LinesLost).ok();
            }
            self.lost_lines += lines;
        }
    }

    /// Say how much is missing, but only together with something that is not.
    fn put_after_loss(&mut self, text: &[u8]) -> io::Result<()> {
        let note = format!("{} lines were lost here, the disk was full", self.lost_lines);
        self.try_put(&[format!("{}\n", Note::now(&note)).as_bytes(), text].concat())?;
        self.lost_lines = 0;
        self.loss.events.send(Event::LinesLost).ok();
        Ok(())
    }

    fn try_put(&mut self, text: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(text) {
            // Half a line is worse than none, but for one so long that its half is worth more.
            let long = self.size - self.line_start > LINE_BYTES;
            self.size = if long { self.size } else { self.line_start };
            drop(self.file.set_len(self.kept + self.size));
            return Err(error);
        }
        let before = self.size;
        self.size += text.len() as u64;
        if let Some(at) = text.iter().rposition(|byte| *byte == b'\n') {
            self.line_start = before + at as u64 + 1;
        }
        Ok(())
    }

    /// `log.2` becomes `log.3`, and so on. Where the folder does not allow it, the file goes on growing.
    fn rotate(&mut self) {
        let numbered = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..self.keep).rev() {
            drop(std::fs::rename(numbered(number), numbered(number + 1)));
        }
        let moved = match self.keep {
            0 => self.file.set_len(0),
            _ => std::fs::rename(&self.path, numbered(1)),
        };
        match moved.and_then(|()| open(&self.path)) {
            Ok(file) => (self.file, self.kept) = (file, 0),
            Err(_) => self.kept += self.size,
        }
        (self.size, self.line_start) = (0, 0);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
