//! The engine's output, on its way to the log file.
//!
//! A thread of its own reads the pipe and writes the file, so that nothing else of the keeper ever waits for the disk. The
//! file is rotated between lines. A full disk costs lines, which are counted, and never stops the engine.
use crate::events::Event;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use state::KEEPER_LINE;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const CHUNK_BYTES: usize = 64 << 10;
/// How long the last lines get to reach the disk.
const DRAIN: Duration = Duration::from_secs(2);
/// How often is looked whether they have.
const GLANCE: Duration = Duration::from_millis(1);

/// The way into the log.
pub(crate) struct Log {
    /// What the engine gets as stdout and stderr.
    pub(crate) input: OwnedFd,
    /// The same pipe, opened anew without blocking: what the keeper itself has to say is never worth waiting for.
    own: File,
    drained: Receiver<()>,
    /// The pump holds text that it has not written yet.
    busy: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

/// What becomes of the output beside the file.
pub(crate) struct Options {
    pub(crate) max_bytes: u64,
    pub(crate) keep: u32,
    /// Values that never reach the log.
    pub(crate) secrets: Vec<Vec<u8>>,
    /// To our stderr too.
    pub(crate) aloud: bool,
}

impl Log {
    /// Open the file and start pumping.
    pub(crate) fn open(path: &Path, options: Options, events: Sender<Event>) -> io::Result<Self> {
        let lost = Arc::new(AtomicU64::new(0));
        let mut file = Rotated::open(path, &options, Loss { total: Arc::clone(&lost), events })?;
        let (output, input) = pipe_with(PipeFlags::CLOEXEC)?;
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let again = format!("/proc/self/fd/{}", input.as_raw_fd());
        let own = File::from(rustix::fs::open(again, flags, rustix::fs::Mode::empty())?);
        let aloud = options.aloud.then(|| rustix::stdio::stderr().try_clone_to_owned()).transpose()?;
        let (done, drained) = channel();
        let busy = Arc::new(AtomicBool::new(false));
        let pumping = Arc::clone(&busy);
        let pump = move || {
            let mut aloud = aloud.map(File::from);
            let mut redactor = Redactor::new(options.secrets);
            pump(&mut File::from(output), &pumping, |text| {
                let text = match text {
                    Some(text) => redactor.feed(text),
                    None => redactor.finish(),
                };
                file.write(&text);
                // Once nobody listens there is no point in going on.
                if aloud.as_mut().is_some_and(|stderr| stderr.write_all(&text).is_err()) {
                    aloud = None;
                }
            });
            done.send(()).ok();
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(pump)?;
        Ok(Self { input, own, drained, busy, lost })
    }

    /// How many lines were lost because the disk was full.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// A line of the keeper's own, among the engine's.
    pub(crate) fn note(&self, text: &str) {
        drop((&self.own).write_all(format!("{KEEPER_LINE}{text}\n").as_bytes()));
    }

    /// Wait until everything that was written by now is in the file, or the disk is too slow for that.
    pub(crate) fn settle(&self) {
        let begun = Instant::now();
        // In this order: what has left the pipe is in the pump's hands until that is no longer busy.
        let settled =
            || rustix::io::ioctl_fionread(&self.input) == Ok(0) && !self.busy.load(Ordering::SeqCst);
        while !settled() && begun.elapsed() < DRAIN {
            std::thread::sleep(GLANCE);
        }
    }

    /// Wait until everything that was written is in the file; says how many lines are not.
    pub(crate) fn close(self) -> u64 {
        drop((self.input, self.own));
        self.drained.recv_timeout(DRAIN).ok();
        self.lost.load(Ordering::Relaxed)
    }
}

/// Hand on what comes until nobody holds the pipe's other end any more, and at last `None`.
///
/// `busy` is set from before text is taken out of the pipe until it was handed on.
fn pump(input: &mut File, busy: &AtomicBool, mut hand_on: impl FnMut(Option<&[u8]>)) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        // Where this fails, the read says why.
        rustix::event::poll(&mut [PollFd::new(&*input, PollFlags::IN)], None).ok();
        busy.store(true, Ordering::SeqCst);
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => hand_on(Some(&chunk[..count])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        busy.store(false, Ordering::SeqCst);
    }
    hand_on(None);
}

/// Replaces secrets in a stream, also where one comes in two pieces.
struct Redactor {
    secrets: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl Redactor {
    /// Shorter ones are no secrets, and would make holes in every line.
    const SHORTEST: usize = 4;

    fn new(mut secrets: Vec<Vec<u8>>) -> Self {
        secrets.retain(|secret| secret.len() >= Self::SHORTEST);
        // The longest first, or one that another begins with would leave its end.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets, held: Vec::new() }
    }

    /// What may be written now; an end that could be the beginning of a secret is held back.
    fn feed(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(chunk);
        for secret in &self.secrets {
            while let Some(at) = text.windows(secret.len()).position(|window| window == secret) {
                text.splice(at..at + secret.len(), *b"[secret]");
            }
        }
        let begins =
            |length: &usize| self.secrets.iter().any(|s| s.starts_with(&text[text.len() - length..]));
        let longest = self.secrets.first().map_or(0, |secret| secret.len() - 1).min(text.len());
        let held = (1..=longest).rev().find(begins).unwrap_or(0);
        self.held = text.split_off(text.len() - held);
        text
    }

    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// Whom to tell of lines that were lost.
struct Loss {
    total: Arc<AtomicU64>,
    events: Sender<Event>,
}

/// A file that gives way to a new one when it is full, between two lines.
struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
    max: u64,
    keep: u32,
    /// Where the line that is being written began.
    line_start: u64,
    /// Since the last line that was written.
    lost_lines: u64,
    loss: Loss,
    /// The last line that was lost has not ended yet; what follows of it is lost too.
    losing: bool,
}

impl Rotated {
    fn open(path: &Path, options: &Options, loss: Loss) -> io::Result<Self> {
        let mut file = open(path)?;
        let size = file.seek(SeekFrom::End(0)).unwrap_or(0);
        let (path, max, keep) = (path.to_owned(), options.max_bytes, options.keep);
        Ok(Self { path, file, size, max, keep, line_start: size, lost_lines: 0, loss, losing: false })
    }

    fn write(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            let room = usize::try_from(self.max.saturating_sub(self.size)).unwrap_or(usize::MAX);
            if text.len() <= room {
                return self.put(text);
            }
            // The last line that fits ends here; where none does, the file grows by one line or is left as it is.
            let fitting = text[..room].iter().rposition(|byte| *byte == b'\n');
            let between_lines = self.line_start == self.size && self.size > 0;
            let end = match fitting {
                Some(at) => at + 1,
                None if between_lines => 0,
                None => match text.iter().position(|byte| *byte == b'\n') {
                    Some(at) => at + 1,
                    None => return self.put(text),
                },
            };
            self.put(&text[..end]);
            self.rotate();
            text = &text[end..];
        }
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
        let note = format!("{KEEPER_LINE}{} lines were lost here, the disk was full\n", self.lost_lines);
        self.try_put(&[note.as_bytes(), text].concat())?;
        self.lost_lines = 0;
        self.loss.events.send(Event::LinesLost).ok();
        Ok(())
    }

    fn try_put(&mut self, text: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(text) {
            // Half a line is worse than none.
            drop(self.file.set_len(self.line_start));
            self.size = self.line_start;
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
        if let Ok(file) = moved.and_then(|()| open(&self.path)) {
            self.file = file;
        }
        (self.size, self.line_start) = (0, 0);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
