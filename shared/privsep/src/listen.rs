//! Hearing a process of another user: both of its outputs, by lines, in bounded memory, until it has ended.
//!
//! Another process of that user may hold the pipes too, write into them, and keep them open for ever: so it is the end of
//! the child that ends it, and not the end of what is written. A child that does nothing any more is not waited for, and none
//! for ever: its user can have it do something for ever.
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::time::Timespec;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};
use tool::StopSignals;
use tree::{Limits, StallLimit};

/// The longest line of records that is taken, and how much of them.
const LINE_BYTES: usize = 1 << 20;
const TOTAL_BYTES: usize = 8 << 20;
/// The longest line of text; the rest of it is another.
const NOTE_BYTES: usize = 4 << 10;
/// How long what is left in the pipes is read for once the child has ended.
const AFTERMATH: Duration = Duration::from_secs(1);
/// How often the child is looked at while nothing comes.
const PAUSE: Duration = Duration::from_millis(50);

/// What was heard.
pub(crate) enum ChildOutput<'a> {
    /// A line of standard output, its newline taken off.
    Line(&'a [u8]),
    /// A line of standard error.
    Note(&'a [u8]),
}

/// Hear a child until it has ended, or we are told to; `each` is given every line.
///
/// # Errors
/// What the system says; `InvalidData` where it says more, or longer lines, than records have; `Interrupted` where somebody
/// has stopped it, or us; `TimedOut` where it does not end; and what `each` says.
pub(crate) fn listen<E: From<io::Error>>(
    child: &mut Child,
    limits: Limits,
    signals: &StopSignals,
    each: &mut dyn FnMut(ChildOutput<'_>) -> Result<(), E>,
) -> Result<ExitStatus, E> {
    let mut output = Pipe::of(child.stdout.take().map(Into::into), LINE_BYTES)?;
    let mut notes = Pipe::of(child.stderr.take().map(Into::into), NOTE_BYTES)?;
    let mut ended: Option<(ExitStatus, Instant)> = None;
    let mut closing = Duration::from_micros(250);
    let mut stall_limit = StallLimit::with(child.id(), limits);
    loop {
        if signals.came() {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        let limit = match ended {
            Some(_) => Duration::ZERO,
            None if output.fd.is_some() || notes.fd.is_some() => PAUSE,
            // It closed both, most likely because it ends.
            None => {
                closing = (closing * 2).min(PAUSE);
                closing
            }
        };
        let came = wait(&[&output, &notes], limit)?;
        // What it says on standard error is no sign of work.
        stall_limit.check(output.total)?;
        output.read()?;
        notes.read()?;
        if output.total > TOTAL_BYTES || output.is_overlong() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it wrote more than records are").into());
        }
        output.lines(&mut |line| each(ChildOutput::Line(line)))?;
        notes.lines(&mut |line| each(ChildOutput::Note(line)))?;
        match ended {
            Some((status, at)) if !came || at.elapsed() > AFTERMATH => {
                output.rest(&mut |line| each(ChildOutput::Line(line)))?;
                notes.rest(&mut |line| each(ChildOutput::Note(line)))?;
                return Ok(status);
            }
            Some(_) => {}
            None => ended = look(child)?.map(|status| (status, Instant::now())),
        }
    }
}

/// How the child ended, if it has.
fn look(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let stopped = id.and_then(|id| {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        waitid(WaitId::Pid(id), options).ok().flatten()
    });
    // It leads a session of its own: nobody at a terminal stops it.
    if stopped.is_some_and(|status| status.stopped()) {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "somebody has stopped it"));
    }
    child.try_wait()
}

/// Wait until something can be read. A pipe that is at its end counts no more.
fn wait(pipes: &[&Pipe], limit: Duration) -> io::Result<bool> {
    let open = pipes.iter().filter_map(|pipe| pipe.fd.as_ref());
    let mut watched: Vec<PollFd<'_>> = open.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    match poll(&mut watched, Timespec::try_from(limit).ok().as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// One output.
struct Pipe {
    fd: Option<OwnedFd>,
    held: Vec<u8>,
    line_bytes: usize,
    total: usize,
}

impl Pipe {
    fn of(fd: Option<OwnedFd>, line_bytes: usize) -> io::Result<Self> {
        if let Some(fd) = &fd {
            fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
        }
        Ok(Self { fd, held: Vec::new(), line_bytes, total: 0 })
    }

    /// Take what is there, at most one buffer of it.
    fn read(&mut self) -> io::Result<()> {
        let Some(fd) = &self.fd else { return Ok(()) };
        let mut buffer = [0; 64 << 10];
        match rustix::io::read(fd.as_fd(), &mut buffer) {
            Ok(0) => self.fd = None,
            Ok(count) => {
                self.held.extend_from_slice(&buffer[..count]);
                self.total = self.total.saturating_add(count);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn is_overlong(&self) -> bool {
        self.held.len() > self.line_bytes && !self.held[..=self.line_bytes].contains(&b'\n')
    }

    /// Hand over every whole line, and what is as long as one may be.
    fn lines<E>(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut start = 0;
        loop {
            let rest = &self.held[start..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            match end.filter(|end| *end <= self.line_bytes) {
                Some(end) => {
                    each(&rest[..end])?;
                    start += end + 1;
                }
                None if rest.len() > self.line_bytes => {
                    each(&rest[..self.line_bytes])?;
                    start += self.line_bytes;
                }
                None => break,
            }
        }
        self.held.drain(..start);
        Ok(())
    }

    /// A last line without a newline.
    fn rest<E>(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let rest = std::mem::take(&mut self.held);
        if rest.is_empty() { Ok(()) } else { each(&rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// How long a child with this script was heard, and how that ended.
    fn heard(script: &str, stall: u64, total: u64) -> (Duration, io::Result<ExitStatus>) {
        let [stall, total, look] = [stall, total, 50].map(Duration::from_millis);
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, begun) = (command.spawn().unwrap(), Instant::now());
        let signals = StopSignals::hold().unwrap();
        let limits = Limits { stall, total, look };
        let heard = listen(&mut child, limits, &signals, &mut |_| Ok::<(), io::Error>(()));
        child.kill().unwrap();
        child.wait().unwrap();
        (begun.elapsed(), heard)
    }

    #[test]
    fn a_child_that_does_nothing_is_given_up_and_so_is_one_that_never_ends() {
        let late = |(took, heard): (Duration, io::Result<ExitStatus>)| {
            assert!(took < Duration::from_secs(20), "{took:?}");
            heard.unwrap_err()
        };
        let stalled = late(heard("exec sleep 1000", 300, 60_000));
        assert_eq!(
            (stalled.kind(), stalled.to_string().as_str()),
            (io::ErrorKind::TimedOut, "it did nothing for 0 s")
        );
        let chatters = late(heard("while :; do echo >&2; sleep 0.2; done", 60_000, 1_000));
        assert_eq!(chatters.to_string(), "it did not end for 1 s");
        assert!(
            heard("i=0; while [ $i -lt 9 ]; do echo; sleep 0.1; i=$((i+1)); done", 800, 60_000).1.is_ok()
        );
    }
}
