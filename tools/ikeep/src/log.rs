//! The engine's output, on its way to the log file.
//!
//! A thread of its own reads the pipe and writes the file, so that nothing else of the keeper ever waits for the disk. What
//! the keeper itself has to say comes on a second pipe, so that it never stands inside a line of the engine's. A full disk
//! costs lines, which are counted, and never stops the engine.
use crate::event::Event;
use crate::redactor::Redactor;
use crate::rotated::{Loss, Rotated};
use rustix::event::{PollFd, PollFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use state::Note;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const CHUNK_BYTES: usize = 64 << 10;
/// PIPE_BUF: so much is written to a pipe whole or not at all.
const NOTE_BYTES: usize = 4096;
/// How long the last lines get to reach the disk.
const DRAIN: Duration = Duration::from_secs(2);
/// How often is looked whether they have.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The way into the log.
pub(crate) struct Log {
    /// What the engine gets as stdout and stderr.
    pub(crate) input: OwnedFd,
    /// Lines of the keeper's own. It does not block: none of them is worth waiting for.
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
    /// What the engine says after this long without a note gets one, so that its time is known about.
    pub(crate) time_every: Duration,
}

/// So exactly the time of what an engine says is known.
pub(crate) const TIME_EVERY: Duration = Duration::from_secs(60);
/// The note for it.
const STILL_RUNNING: &str = "goes on";

impl Log {
    /// Open the file and start pumping.
    pub(crate) fn open(path: &Path, options: Options, events: Sender<Event>) -> io::Result<Self> {
        let lost = Arc::new(AtomicU64::new(0));
        let loss = Loss { total: Arc::clone(&lost), events };
        let file = Rotated::open(path, (options.max_bytes, options.keep), loss)?;
        let (output, input) = pipe_with(PipeFlags::CLOEXEC)?;
        let (notes, own) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let aloud = options.aloud.then(|| rustix::stdio::stderr().try_clone_to_owned()).transpose()?;
        let (done, drained) = channel();
        let busy = Arc::new(AtomicBool::new(false));
        let mut pump = Pump {
            output: File::from(output),
            notes: io::BufReader::with_capacity(NOTE_BYTES, File::from(notes)),
            busy: Arc::clone(&busy),
            redactor: Redactor::new(options.secrets),
            file,
            aloud: aloud.map(File::from),
            time_every: options.time_every,
            noted: Instant::now(),
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            pump.run();
            done.send(()).ok();
        })?;
        Ok(Self { input, own: File::from(own), drained, busy, lost })
    }

    /// How many lines were lost because the disk was full.
    pub(crate) fn lost_lines(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// A line of the keeper's own, after what the engine has said so far.
    pub(crate) fn note(&self, text: &str) {
        let text = text.replace(char::is_control, " ");
        let mut line = Note::now(&text).to_string();
        line.truncate(line.floor_char_boundary(NOTE_BYTES - 1));
        line.push('\n');
        drop((&self.own).write_all(line.as_bytes()));
    }

    /// Wait until everything that was written by now is in the file, notes too, or the disk is too slow for that.
    pub(crate) fn settle(&self) {
        let begun = Instant::now();
        let empty = |pipe: BorrowedFd<'_>| rustix::io::ioctl_fionread(pipe) == Ok(0);
        // In this order: what has left a pipe is in the pump's hands until that is no longer busy.
        let settled =
            || empty(self.input.as_fd()) && empty(self.own.as_fd()) && !self.busy.load(Ordering::SeqCst);
        while !settled() && begun.elapsed() < DRAIN {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Wait until everything that was written is in the file; says how many lines are not.
    pub(crate) fn close(self) -> u64 {
        // In this order: once the engine's pipe has ended, so have the notes.
        drop(self.own);
        drop(self.input);
        self.drained.recv_timeout(DRAIN).ok();
        self.lost.load(Ordering::Relaxed)
    }
}

/// The thread between the pipes and the file.
struct Pump {
    output: File,
    notes: io::BufReader<File>,
    /// Set from before text is taken out of a pipe until it was handed on.
    busy: Arc<AtomicBool>,
    redactor: Redactor,
    file: Rotated,
    /// Our stderr, for as long as somebody listens.
    aloud: Option<File>,
    time_every: Duration,
    /// When the last note was written.
    noted: Instant,
}

impl Pump {
    /// Until nobody holds the other end of the engine's pipe any more.
    fn run(&mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let noted = self.wait();
            self.busy.store(true, Ordering::SeqCst);
            // What was said before a note stands before it.
            let mut before = if noted { rustix::io::ioctl_fionread(&self.output).unwrap_or(0) } else { 1 };
            while before > 0 {
                let Some(count) = self.forward(&mut chunk) else { return self.end() };
                before = before.saturating_sub(count);
            }
            if noted {
                self.write_notes();
            }
            self.busy.store(false, Ordering::SeqCst);
        }
    }

    /// Wait for either pipe; whether there are notes.
    fn wait(&self) -> bool {
        let (output, notes) = (&self.output, self.notes.get_ref());
        let mut pipes = [PollFd::new(output, PollFlags::IN), PollFd::new(notes, PollFlags::IN)];
        // Where this fails, the read says why.
        rustix::event::poll(&mut pipes, None).ok();
        pipes[1].revents().contains(PollFlags::IN)
    }

    /// Once more from the engine's pipe; `None` at its end.
    fn forward(&mut self, chunk: &mut [u8]) -> Option<u64> {
        let count = loop {
            match self.output.read(chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.unwrap_or(0),
            }
        };
        let text = self.redactor.feed(&chunk[..count]);
        if !text.is_empty() && self.noted.elapsed() >= self.time_every && self.file.is_between_lines() {
            let line = Note::now(STILL_RUNNING).to_string();
            self.file.note(&line);
            self.write_with_time(format!("{line}\n").as_bytes());
            self.noted = Instant::now();
        }
        self.write(&text);
        (count > 0).then_some(count as u64)
    }

    /// Every note that is there.
    fn write_notes(&mut self) {
        let mut line = String::new();
        // A note is in the pipe whole or not at all: where one begins, it ends.
        while self.notes.read_line(&mut line).is_ok_and(|count| count > 0) {
            let text = line.trim_end();
            if Note::read(text).is_some_and(|note| note.is_start()) {
                // What the engine before began to say does not go on.
                let text = self.redactor.finish();
                self.write(&text);
            }
            self.file.note(text);
            self.noted = Instant::now();
            self.write_with_time(line.as_bytes());
            line.clear();
        }
    }

    fn end(&mut self) {
        let text = self.redactor.finish();
        self.write(&text);
        self.write_notes();
    }

    fn write(&mut self, text: &[u8]) {
        self.file.write(text);
        self.write_with_time(text);
    }

    /// To our stderr too. Once nobody listens there is no point in going on.
    fn write_with_time(&mut self, text: &[u8]) {
        if self.aloud.as_mut().is_some_and(|stderr| stderr.write_all(text).is_err()) {
            self.aloud = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_long_after_a_note_gets_one_between_lines() {
        let path = std::env::temp_dir().join(format!("ikeep-log-{}", std::process::id()));
        let options = Options {
            max_bytes: 1 << 20,
            keep: 0,
            secrets: Vec::new(),
            aloud: false,
            time_every: Duration::ZERO,
        };
        let log = Log::open(&path, options, channel().0).unwrap();
        let mut engine = File::from(log.input.try_clone().unwrap());
        for text in ["a\n", "b\nc", "d\n"] {
            engine.write_all(text.as_bytes()).unwrap();
            log.settle();
        }
        drop(engine);
        log.close();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let shown = |line: &str| Note::read(line).map_or(line.to_owned(), |note| note.text.to_owned());
        let lines: Vec<String> = text.lines().map(shown).collect();
        assert_eq!(lines, ["goes on", "a", "goes on", "b", "cd"], "{text}");
    }
}
