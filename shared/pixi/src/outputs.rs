//! What a program says while it runs: its last lines, shown as they come, or its answer.
use crate::redact::Credentials;
use failure::{Code, Failure};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How many of the last lines are kept, and how much of each.
pub(crate) const TAIL: usize = 40;
pub(crate) const LINE_BYTES: usize = 2048;
/// Captured output above this is no answer.
const CAPTURE_CEILING: u64 = 16 << 20;
/// A grandchild may hold the pipes after the program has ended; its output is not waited for longer.
const DRAIN: Duration = Duration::from_secs(1);

/// The ends that we read.
pub(crate) struct Outputs {
    /// stderr, and stdout too where it is no answer: through one pipe, so that their lines keep their order.
    lines: PipeReader,
    answer: Option<PipeReader>,
}

enum OutputEvent {
    Line(String),
    Answer(Vec<u8>),
}

impl Outputs {
    /// Pipes for the outputs of `command`, which holds their writing ends; `captures`: stdout is an answer.
    pub(crate) fn of(command: &mut Command, captures: bool) -> io::Result<Self> {
        let (lines, write) = io::pipe()?;
        command.stderr(write.try_clone()?);
        if !captures {
            command.stdout(write);
            return Ok(Self { lines, answer: None });
        }
        let (answer, write) = io::pipe()?;
        command.stdout(write);
        Ok(Self { lines, answer: Some(answer) })
    }

    /// Listen until all is closed, or the program has ended and nothing comes any more, or `given_up`, which is given how
    /// many lines have come.
    pub(crate) fn collect(
        self,
        child: &mut Child,
        label: &str,
        adopts: bool,
        given_up: impl FnMut(usize) -> io::Result<()>,
    ) -> Result<(Vec<String>, Vec<u8>), Failure> {
        let (say, heard) = channel();
        if let Some(stdout) = self.answer {
            let say = say.clone();
            threads::start("answer", move || answer(stdout, &say))?;
        }
        let credentials = Credentials::of(std::env::vars_os());
        threads::start("lines", move || lines(self.lines, &credentials, &say))?;
        let line = tool::instance_line(label);
        let listened = listen(child, &heard, (adopts, given_up), |text| {
            log::info!("{text}");
            line.set_message(format!("{label}: {text}"));
        });
        line.finish_and_clear();
        listened.map_err(|error| {
            let code = if error.kind() == io::ErrorKind::TimedOut { Code::Later } else { Code::Unmet };
            Failure::io(code, format!("cannot wait for {label}"), &error)
        })
    }
}

fn listen(
    child: &mut Child,
    heard: &Receiver<OutputEvent>,
    (adopts, mut given_up): (bool, impl FnMut(usize) -> io::Result<()>),
    mut show: impl FnMut(&str),
) -> io::Result<(Vec<String>, Vec<u8>)> {
    let mut tail = VecDeque::new();
    let mut stdout = Vec::new();
    let (mut ended, mut said) = (None, 0);
    loop {
        given_up(said)?;
        if adopts {
            reap_adopted(child);
        }
        match heard.recv_timeout(Duration::from_millis(100)) {
            Ok(OutputEvent::Line(text)) => {
                said += 1;
                show(&text);
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(text);
            }
            Ok(OutputEvent::Answer(bytes)) => stdout = bytes,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if ended.is_none() && child.try_wait()?.is_some() {
                    ended = Some(Instant::now());
                }
                if ended.is_some_and(|ended: Instant| ended.elapsed() > DRAIN) {
                    break;
                }
            }
        }
    }
    Ok((tail.into(), stdout))
}

/// Reap all children that have ended but this one: who else has come to us has nobody to wait for it.
fn reap_adopted(child: &Child) {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Some(pid) = waitid(Id::All, ended).ok().and_then(|status| status.pid()) {
        if u32::try_from(pid.as_raw()) == Ok(child.id()) {
            return;
        }
        let _reaped = waitpid(pid, Some(WaitPidFlag::WNOHANG));
    }
}

fn answer(stdout: impl Read, say: &Sender<OutputEvent>) {
    let mut bytes = Vec::new();
    drop(stdout.take(CAPTURE_CEILING).read_to_end(&mut bytes));
    drop(say.send(OutputEvent::Answer(bytes)));
}

/// What a progress bar overwrites counts as a line; what is too long is cut.
fn lines(output: impl Read, credentials: &Credentials, say: &Sender<OutputEvent>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        let Ok(chunk) = output.fill_buf() else { return };
        let (length, ends) = match chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) => (end + 1, true),
            None => (chunk.len(), chunk.is_empty()),
        };
        let room = LINE_BYTES.saturating_sub(line.len());
        line.extend(chunk[..length].iter().take(room));
        let over = chunk.is_empty();
        output.consume(length);
        if ends {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if !text.is_empty() && say.send(OutputEvent::Line(credentials.redact(text))).is_err() {
                return;
            }
            line.clear();
        }
        if over {
            return;
        }
    }
}
