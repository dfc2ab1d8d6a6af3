//! Starting a keeper: the start request on its stdin, its report on a pipe.
use crate::pipe;
use child::{Leader, Start, User};
use record::Plan;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use state::{Directory, StartReport, StartRequest};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// Longer than any disk or user database should take; the engine's load is not waited for.
const REPORT_LIMIT: Duration = Duration::from_secs(60);
/// How long one is waited for that was killed, or has closed its pipe.
const DEATH: Duration = Duration::from_secs(5);

/// The keeper that lives, if one does.
pub(crate) fn live_keeper(directory: &Directory) -> Result<Option<u32>, Failure> {
    let what = || format!("cannot ask the lock {}", directory.lock_file().display());
    directory.keeper().map_err(|error| Failure::io(Code::Unmet, what(), &error))
}

/// Somebody else started the instance since it was planned.
pub(crate) fn busy(plan: &Plan, pid: u32) -> Failure {
    let what = format!("cannot start {} {}", plan.engine, plan.instance);
    let hint = "plan again to see it as running, or stop it with istop";
    Failure::new(Code::Later, what, format!("process {pid} keeps it already")).hint(hint)
}

/// A keeper that has been told what to do and has not reported yet.
pub(crate) struct Starting {
    child: Child,
    report: File,
    foreground: Option<StopSignals>,
    /// Held open while it is to wait.
    waits: Option<ChildStdin>,
    /// When it must have read the request, and after [`Starting::commit`] when it must have reported.
    until: Instant,
}

impl Starting {
    /// Start it in a session of its own, as the user, with nothing of ours but the request and the report pipe.
    pub(crate) fn start(ikeep: &Path, request: &StartRequest, user: Option<&User>) -> Result<Self, Failure> {
        let mut starting = Self::prepare(ikeep, request, user)?;
        starting.commit();
        Ok(starting)
    }

    /// The same, but it keeps nothing before [`Starting::commit`], or our end.
    pub(crate) fn prepare(
        ikeep: &Path,
        request: &StartRequest,
        user: Option<&User>,
    ) -> Result<Self, Failure> {
        let cannot = |error: &io::Error| {
            let failure = tool::thread::unavailable(format!("cannot start {}", ikeep.display()), error);
            match (user, error.kind()) {
                (Some(user), io::ErrorKind::PermissionDenied) => {
                    failure.hint(format!("user {} must be able to reach and run it", user.name))
                }
                _ => failure,
            }
        };
        let (report, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| cannot(&error.into()))?;
        let front = !request.plan.control.background;
        let mut command = Command::new(ikeep);
        command.arg("--report").arg(theirs.as_raw_fd().to_string());
        if let Some(other) = &request.plan.after {
            command.arg("--after").arg(other);
        }
        // Settings and secrets of all engines: what this one needs is in the order.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(tool::vars::PREFIX.as_bytes()) {
                command.env_remove(name);
            }
        }
        for name in &request.plan.env_dropped {
            command.env_remove(name);
        }
        let stderr = if front { Stdio::inherit() } else { Stdio::null() };
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr);
        let keep = vec![theirs.as_raw_fd()];
        // In the foreground it ends with us, however we end.
        let death_signal = front.then_some(Signal::TERM);
        Start { user: user.cloned(), leader: Leader::Session, death_signal, keep }.apply(&mut command);
        let foreground =
            if front { Some(StopSignals::listen().map_err(|error| cannot(&error))?) } else { None };
        let mut child = command.spawn().map_err(|error| cannot(&error))?;
        drop(theirs);
        let waits = child.stdin.take();
        let (report, until) = (File::from(report), Instant::now() + REPORT_LIMIT);
        Self { child, report, foreground, waits, until }.send_request(request)
    }

    fn send_request(mut self, request: &StartRequest) -> Result<Self, Failure> {
        let text = serde_json::to_vec(request).unwrap_or_default();
        let told = self.waits.as_mut().map_or(Ok(()), |stdin| pipe::send(stdin, &text, self.until));
        match told {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                // It does not have the whole request, so nothing runs under it.
                self.abandon();
                Err(silent("its keeper has not read the start request"))
            }
            // A keeper that ended before it had read everything says why in its report.
            _ => Ok(self),
        }
    }

    /// Say that the keeper which has the instance is told to stop now: it waits for that one's end, whatever becomes of us.
    pub(crate) fn announce_stop(&mut self, keeper: u32) {
        let line = state::stopping_line(keeper);
        if let Some(stdin) = &mut self.waits
            && let Err(error) = pipe::send(stdin, line.as_bytes(), self.until)
        {
            log::info!("process {} does not hear that {keeper} is told to stop: {error}", self.child.id());
        }
    }

    /// Let it begin: the request ends here.
    pub(crate) fn commit(&mut self) {
        drop(self.waits.take());
        self.until = Instant::now() + REPORT_LIMIT;
    }

    /// End one that was never let go: nothing runs under it.
    pub(crate) fn abandon(mut self) {
        drop(self.child.kill());
        pipe::end(&mut self.child, Instant::now() + DEATH);
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Wait for the report: the keeper's process id, and the keeper itself where we wait for its end.
    pub(crate) fn wait_for_report(mut self) -> Result<(u32, Option<Foreground>), Failure> {
        let what = "cannot keep the instance";
        let text = match pipe::receive(&mut self.report, &mut self.child, self.until) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                // It may be told to stop, but not killed: it may have started the engine by now.
                kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
                return Err(silent("its keeper has not reported"));
            }
            Err(error) => return Err(Failure::io(Code::Unmet, what, &error)),
        };
        match serde_json::from_slice(&text) {
            Ok(StartReport::Kept { .. }) => {
                let child = self.child;
                // Others of its user may write to the pipe too: which process it is we know better.
                Ok((child.id(), self.foreground.map(|told| Foreground { child, told })))
            }
            Ok(StartReport::Failed { what, cause, hint, class, code }) => {
                Err(Failure { hint, class, ..Failure::new(code_of(code), what, cause) })
            }
            Err(_) => {
                // Whoever goes on writing is not read any more.
                drop(self.report);
                let cause = match pipe::end(&mut self.child, Instant::now() + DEATH) {
                    Some(status) => {
                        format!("its keeper ended without a report: {}", child::exit_words(status))
                    }
                    None => {
                        kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
                        "what its keeper reported is no report".to_owned()
                    }
                };
                Err(Failure::new(Code::Unmet, what, cause))
            }
        }
    }
}

/// Signals that we were sent, to be handed on, and the end of children. They are caught from before the keeper starts.
struct StopSignals {
    signals: Signals,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self { signals: Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD])? })
    }
}

/// A keeper that we wait for.
pub(crate) struct Foreground {
    child: Child,
    told: StopSignals,
}

impl Foreground {
    /// Hand signals on until it ends; its exit code is the engine's.
    pub(crate) fn wait(self) -> Result<u8, Failure> {
        let Self { mut child, told: StopSignals { mut signals } } = self;
        let cannot = |error| Failure::io(Code::Unmet, "cannot wait for the keeper", &error);
        let ended = loop {
            if let Some(ended) = child.try_wait().map_err(cannot)? {
                break ended;
            }
            if signals.wait().any(|signal| signal != SIGCHLD) {
                // Not reaped yet, so the id is still its own. To a keeper all signals mean the same.
                kill_process(Pid::from_child(&child), Signal::TERM).ok();
            }
        };
        Ok(child::exit_code(ended))
    }
}

fn silent(cause: &str) -> Failure {
    let cause = format!("{cause} for {} s", REPORT_LIMIT.as_secs());
    Failure::new(Code::Later, "cannot keep the instance", cause)
}

fn code_of(number: u8) -> Code {
    if number >= 126 {
        return Code::Child(number);
    }
    Code::of(number).unwrap_or(Code::Unmet)
}
