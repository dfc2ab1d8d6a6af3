//! The two pipes between us and a keeper, one deadline over all that goes through them.
//!
//! Whoever runs as the keeper's user may hold copies of its ends, or stop the keeper: neither makes us wait for longer.
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::fcntl_setpipe_size;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ExitStatus};
use std::time::{Duration, Instant};

/// How often the child is looked at: its end need not be seen on a pipe of which somebody holds a copy.
const LOOK: Duration = Duration::from_millis(50);
/// A report is one line with some sentences.
const REPORT_BYTES: usize = 64 << 10;
/// What any user may have a pipe hold: most requests fit, so that writing one does not wait for its reader.
const PIPE_BYTES: usize = 1 << 20;

/// Write all of `text` before it is `until`.
///
/// # Errors
/// `TimedOut` when nobody has read it by then; `BrokenPipe` when nobody will.
pub(crate) fn send(pipe: &mut ChildStdin, text: &[u8], until: Instant) -> io::Result<()> {
    set_nonblocking(&*pipe)?;
    if text.len() > 64 << 10 {
        // Where this fails, the pipe is as large as pipes are.
        fcntl_setpipe_size(&*pipe, PIPE_BYTES).ok();
    }
    let mut rest = text;
    while !rest.is_empty() {
        match pipe.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                wait(&*pipe, PollFlags::OUT, left)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The line that comes, without its end; what came of it where the pipe or the child has ended, or it is `until`.
pub(crate) fn receive(pipe: &mut File, child: &mut Child, until: Instant) -> io::Result<Vec<u8>> {
    set_nonblocking(&*pipe)?;
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    let mut ended = false;
    while text.len() <= REPORT_BYTES {
        match pipe.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                text.extend_from_slice(&chunk[..count]);
                if let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                    text.truncate(end);
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What it wrote before its end has been read by now.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && ended => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                wait(&*pipe, PollFlags::IN, left.min(LOOK))?;
                ended = child.try_wait()?.is_some();
            }
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// How the child ended; `None` where it has not by then.
pub(crate) fn end(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK / 10),
            Ok(ended) => return ended,
            Err(_) => return None,
        }
    }
}

fn set_nonblocking(pipe: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&pipe)?;
    Ok(fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}

fn wait(pipe: impl AsFd, what: PollFlags, limit: Duration) -> io::Result<()> {
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(&pipe, what)], Some(&limit)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
