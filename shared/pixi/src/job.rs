//! Running a program that takes its time: heard line by line, its end remembered, gone when we are.
use crate::error_report::{ErrorReport, Kind};
use crate::outputs::Outputs;
use child::Start;
use failure::{Code, Failure};
use rustix::process::Signal;
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tool::StopSignals;
use tree::{Limits, ProcessHandle, StallLimit};

/// How iseal says what to do about a program that it cannot run.
const SEAL_HINT: &str = "iseal: hint: ";

/// How long processes that were killed are waited for.
const END: Duration = Duration::from_secs(2);

/// A program to run, prepared.
#[derive(Debug)]
pub struct Job {
    command: Command,
    keep: Vec<RawFd>,
    capture: bool,
    adopts: bool,
}

/// How a program ended.
#[derive(Debug)]
pub struct JobOutput {
    /// Its exit.
    pub status: ExitStatus,
    /// The last lines of what it said, without credentials.
    pub tail: Vec<String>,
    /// What it wrote to stdout, where that was captured.
    pub stdout: Vec<u8>,
}

impl Job {
    /// Run `command`, its arguments and environment already set. stdin is empty, both outputs are heard.
    #[must_use]
    pub fn new(command: Command) -> Self {
        Self { command, keep: Vec::new(), capture: false, adopts: false }
    }

    /// Keep stdout whole in place of hearing it: it is an answer.
    #[must_use]
    pub fn capture(mut self) -> Self {
        self.capture = true;
        self
    }

    /// Let the program inherit this descriptor too, under the same number.
    #[must_use]
    pub fn keep(mut self, fd: RawFd) -> Self {
        self.keep.push(fd);
        self
    }

    /// Reap whatever else ends as a child of ours meanwhile, for a subreaper: who waits for a program to be gone would wait
    /// for ever. No other thread may wait for a child of its own then.
    #[must_use]
    pub fn adopting(mut self) -> Self {
        self.adopts = true;
        self
    }

    /// Run it to its end. It is killed when this thread ends before it, and with all that it has started when a signal ends
    /// us or it does nothing for [`Limits::USUAL`]. A person sees `label` and its latest line.
    ///
    /// # Errors
    /// It cannot be started or heard, or does nothing any more. How it ended is no error here.
    pub fn run(self, label: &str) -> Result<JobOutput, Failure> {
        self.run_within(label, Limits::USUAL)
    }

    fn run_within(mut self, label: &str, limits: Limits) -> Result<JobOutput, Failure> {
        let program = PathBuf::from(self.command.get_program());
        let cannot = |error: &io::Error| child::not_run(Code::Unmet, &program, error);
        self.command.stdin(Stdio::null());
        let outputs = Outputs::of(&mut self.command, self.capture).map_err(|error| cannot(&error))?;
        let death_signal = Some(Signal::KILL);
        Start { death_signal, keep: self.keep, ..Start::default() }.apply(&mut self.command);
        // Who adopts has its own way to end what it has started.
        let signals = if self.adopts { None } else { Some(StopSignals::hold()?) };
        let mut child = self.command.spawn().map_err(|error| cannot(&error))?;
        // The command holds the writing ends, which would never be closed.
        drop(self.command);
        let mut patience = Patience::of(label, child.id(), limits);
        let heard = outputs.collect(&mut child, label, self.adopts, |said| {
            if signals.as_ref().is_some_and(StopSignals::came) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            patience.check(said)
        });
        if heard.is_err() {
            end(&child);
        }
        let status = child.wait().map_err(|error| cannot(&error))?;
        let (tail, stdout) = heard?;
        Ok(JobOutput { status, tail, stdout })
    }
}

/// End a program, and all that it has started, while it can be told by its descent.
fn end(child: &Child) {
    let mut all = tree::descendants(child.id());
    all.extend(tree::Process::read(child.id()));
    let all: Vec<_> = all.into_iter().filter_map(ProcessHandle::of).collect();
    tree::kill(all, &|process| drop(process.signal(Signal::KILL)), END);
}

/// Waiting on a program, and saying so once where it takes a part of the limit.
struct Patience<'a> {
    label: &'a str,
    limit: StallLimit,
    stall: Duration,
    told: bool,
}

impl<'a> Patience<'a> {
    fn of(label: &'a str, pid: u32, limits: Limits) -> Self {
        Self { label, limit: StallLimit::with(pid, limits), stall: limits.stall, told: false }
    }

    fn check(&mut self, said: usize) -> io::Result<()> {
        self.limit.check(said)?;
        let idle = self.limit.idle();
        if !self.told && idle > self.stall / 8 {
            self.told = true;
            let (idle, stall) = (idle.as_secs(), self.stall.as_secs());
            log::warn!("{}: nothing was done for {idle} s; it is given up after {stall} s", self.label);
        }
        Ok(())
    }
}

impl JobOutput {
    /// `exit 1` or `signal 9`, as records say it.
    #[must_use]
    pub fn exit(&self) -> String {
        child::exit_words(self.status)
    }

    /// Why, as far as its last output shows it.
    #[must_use]
    pub fn why(&self) -> ErrorReport {
        let hint = usize::from(self.seal_hint().is_some());
        ErrorReport::of(&self.tail[..self.tail.len() - hint])
    }

    /// What to do where that which was to run sealed never began.
    fn seal_hint(&self) -> Option<&str> {
        self.tail.last()?.strip_prefix(SEAL_HINT)
    }

    /// The failure of doing `what`: how it ended, why, and the last lines.
    #[must_use]
    pub fn failure(&self, what: impl Into<String>) -> Failure {
        let (ErrorReport { kind, sentence }, exit) = (self.why(), self.exit());
        let cause = if sentence.is_empty() { exit.clone() } else { format!("{exit}: {sentence}") };
        let mut failure = Failure::new(Code::Unmet, what, cause);
        if kind == Kind::NoSpace {
            failure = failure.hint("make room on its disk, or use another one");
        }
        if kind == Kind::LongPath {
            failure = failure.hint("use a shorter path for what is installed");
        }
        if let Some(hint) = self.seal_hint() {
            failure = failure.hint(hint);
        }
        failure.exit = Some(exit);
        failure.log_tail.clone_from(&self.tail);
        failure
    }
}

#[cfg(test)]
#[cfg_attr(test, expect(clippy::disallowed_methods, reason = "a test makes a file of its own"))]
mod tests {
    use super::*;
    use crate::outputs::{LINE_BYTES, TAIL};
    use std::time::Instant;

    fn sh(script: &str) -> JobOutput {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Job::new(command).run("a test").unwrap()
    }

    #[test]
    fn both_outputs_are_heard_and_the_last_lines_kept_without_credentials() {
        let ended = sh("seq 100; printf 'half\\rwhole\\n'; echo error: http://me:word@x.invalid >&2; exit 3");
        assert_eq!(ended.exit(), "exit 3");
        assert!(ended.tail.len() <= TAIL && ended.tail.contains(&"whole".to_owned()));
        let failure = ended.failure("cannot do it");
        assert_eq!(failure.cause, "exit 3: http://***@x.invalid");
        assert_eq!(failure.exit.as_deref(), Some("exit 3"));
    }

    #[test]
    fn the_systems_words_are_said_however_deep_they_lie() {
        let failure = |lines: &str| sh(&format!("printf '{lines}'; exit 1")).failure("cannot do it");
        let deep = failure("Error: no x\\n  Caused by:\\n    y: No space left on device (os error 28)\\n");
        assert_eq!(deep.cause, "exit 1: no x: y: No space left on device");
        assert!(deep.hint.is_some());
        let plain = failure("Error: y: Permission denied (os error 13)\\n");
        assert_eq!((plain.cause.as_str(), plain.hint), ("exit 1: y: Permission denied", None));
    }

    #[test]
    fn what_never_began_has_the_hint_of_who_was_to_begin_it() {
        let said = "iseal: cannot run /x: Not there\\niseal: hint: it must be there\\n";
        let failure = sh(&format!("printf '{said}'; exit 126")).failure("cannot do it");
        assert_eq!(failure.cause, "exit 126: iseal: cannot run /x: Not there");
        assert_eq!(failure.hint.as_deref(), Some("it must be there"));
    }

    #[test]
    fn a_program_that_does_nothing_is_given_up_with_what_it_has_started() {
        let noted = std::env::temp_dir().join(format!("infer-dev-job-{}", std::process::id()));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 600 & echo $! > \"$0\"; wait"]).arg(&noted);
        let [stall, look] = [2000, 50].map(Duration::from_millis);
        let limits = Limits { stall, look, total: Duration::from_secs(60) };
        let begun = Instant::now();
        let failure = Job::new(command).run_within("a test", limits).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert_eq!((failure.code, failure.cause.as_str()), (Code::Later, "it did nothing for 2 s"));
        let started = std::fs::read_to_string(&noted).unwrap().trim().parse().unwrap();
        std::fs::remove_file(noted).unwrap();
        assert!(tree::Process::read(started).is_none_or(|process| process.zombie));
    }

    #[test]
    fn a_grandchild_that_holds_the_pipe_is_not_waited_for() {
        let began = Instant::now();
        let ended = sh("sleep 60 & echo $!");
        assert!(ended.status.success() && began.elapsed() < Duration::from_secs(30));
        drop(Command::new("kill").args(&ended.tail).status());
    }

    #[test]
    fn an_answer_is_captured_whole_and_a_long_line_is_cut() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "printf 'a\\nb'; head -c 10000 /dev/zero | tr '\\0' x >&2"]);
        let ended = Job::new(command).capture().run("a test").unwrap();
        assert_eq!((ended.stdout.as_slice(), ended.tail[0].len()), (b"a\nb".as_slice(), LINE_BYTES));
    }
}
