//! The engine's processes, from the first to the last.
use crate::cause;
use crate::egress::EgressWatch;
use crate::events::{Events, HealthChecks};
use child::{Leader, Start};
use record::{Plan, StopMethod};
use rustix::process::{Pid, Signal, WaitOptions};
use state::Secrets;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tool::{Code, Failure};
use tree::{Process, ProcessHandle};

/// How long those get that the leader left behind, before they are told to go, and again before they are made to.
const ORPHAN_GRACE: Duration = Duration::from_secs(2);

/// One start of the engine: its leader, and whoever descends from us because of it.
pub(crate) struct Engine {
    pub(crate) leader: Pid,
    pub(crate) started: Instant,
    /// How the leader ended, once it has.
    pub(crate) exit: Option<ExitStatus>,
    /// For as long as this is here, it is asked how it is.
    pub(crate) asked: Option<HealthChecks>,
    /// The log says already that the engine cannot be asked yet.
    pub(crate) unasked_told: bool,
    /// How many processes the kernel had killed for memory when it started.
    oom_kills: Option<u64>,
}

impl Engine {
    /// Start it in a process group of its own. When this thread ends, and it ends with us, the leader gets TERM.
    pub(crate) fn start(
        (plan, secrets): (&Plan, &Secrets),
        instance_id: &str,
        output: BorrowedFd<'_>,
        watch: Option<&EgressWatch>,
    ) -> Result<Self, Failure> {
        let what = || format!("cannot start {}", plan.program.display());
        let pipe = || output.try_clone_to_owned().map(Stdio::from);
        let (stdout, stderr) = pipe()
            .and_then(|stdout| Ok((stdout, pipe()?)))
            .map_err(|error| Failure::io(Code::Unmet, what(), &error))?;
        let mut command = Command::new(&plan.program);
        command.args(&plan.args).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        for name in &plan.env_dropped {
            command.env_remove(name);
        }
        // setproctitle writes over the environment, and with it the instance id, unless it is told not to.
        command.envs(&plan.env_set).envs(&secrets.env).env("SPT_NOENV", "1");
        command.env(tool::vars::INFER_DEV_INSTANCE, instance_id);
        command.env(tool::vars::INFER_DEV_STATE_DIR, &plan.state_dir);
        let start = Start { leader: Leader::Group, death_signal: Some(Signal::TERM), ..Start::default() };
        start.apply(&mut command);
        let oom_kills = cause::oom_kills();
        let spawned = match watch {
            Some(watch) => watch.spawn(command),
            None => command.spawn(),
        };
        let child =
            spawned.map_err(|error| refusal(&plan.program, what(), &error, !plan.control.background))?;
        // It is reaped with all the others, by wait(2) for anybody.
        let leader = Pid::from_child(&child);
        Ok(Self { leader, started: Instant::now(), exit: None, asked: None, unasked_told: false, oom_kills })
    }

    /// Whether the kernel has killed something for memory since it started.
    pub(crate) fn oom_killed(&self) -> bool {
        self.oom_kills.is_some_and(|before| cause::oom_kills().is_some_and(|now| now > before))
    }

    /// Reap whoever has ended. `false` when nobody is left.
    pub(crate) fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.leader => {
                    self.exit = Some(ExitStatus::from_raw(status.as_raw()));
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// End all of it: TERM to the leader, once; grace; TERM to the rest; KILL; until nobody is left. Who cleans up after the
    /// others gets the time for it.
    ///
    /// A second TERM kills some engines hard, and TERM to the workers spoils their drain while the leader lives.
    pub(crate) fn end(&mut self, events: &Events, grace: Duration) -> StopMethod {
        self.asked = None;
        let running = self.reap();
        if running && self.exit.is_none() {
            // Our own child, not reaped yet: the id is still its own.
            rustix::process::kill_process(self.leader, Signal::TERM).ok();
            // One that was suspended would get that only when it goes on.
            rustix::process::kill_process(self.leader, Signal::CONT).ok();
        }
        if self.wait_for_all(events, grace) {
            return StopMethod::Term;
        }
        let rest: Vec<Process> = descendants().into_iter().filter(|p| !self.is_leader(*p)).collect();
        for process in &rest {
            tree::signal(*process, Signal::TERM);
            tree::signal(*process, Signal::CONT);
        }
        if !rest.is_empty() && self.wait_for_all(events, ORPHAN_GRACE) {
            return StopMethod::Term;
        }
        let mut pause = Duration::from_millis(10);
        loop {
            let left = descendants().into_iter().filter_map(ProcessHandle::of).collect();
            // Whoever forked in between is met in the next round. A driver may hold on to the dead for long.
            tree::kill(left, &|process| drop(process.signal(Signal::KILL)), pause);
            if self.wait_for_all(events, pause) {
                return StopMethod::Kill;
            }
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Whether everybody has gone in time. Once the leader has, the others have nothing to do any more.
    fn wait_for_all(&mut self, events: &Events, grace: Duration) -> bool {
        let mut until = Instant::now() + grace;
        let mut led = true;
        while self.reap() {
            if led && self.exit.is_some() {
                led = false;
                until = until.min(Instant::now() + ORPHAN_GRACE);
            }
            // Being told again to stop changes nothing.
            if events.next(Some(until)).is_none() && Instant::now() >= until {
                return !self.reap();
            }
        }
        true
    }

    fn is_leader(&self, process: Process) -> bool {
        self.exit.is_none() && i32::try_from(process.pid) == Ok(self.leader.as_raw_nonzero().get())
    }
}

fn descendants() -> Vec<Process> {
    tree::descendants(std::process::id())
}

/// Why exec did not happen, with a shell's code for it: 127 not found, 126 not executable.
fn refusal(program: &Path, what: String, error: &io::Error, foreground: bool) -> Failure {
    let code = match error.kind() {
        _ if !foreground => Code::Unmet,
        io::ErrorKind::NotFound => Code::Child(127),
        _ => Code::Child(126),
    };
    let class = cause::of_refusal(error).map(|class| class.id().to_owned());
    Failure { class, ..child::refused(code, what, program, error) }
}

/// Whoever loses its parent becomes our child, so that none of them is ever lost.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// A folder that we cannot enter, the caller's for instance, is no place for the engine.
pub(crate) fn leave_unreadable_folder() {
    if File::open(".").is_err() {
        drop(std::env::set_current_dir("/"));
    }
}

/// The instance id of a new start.
pub(crate) fn new_instance_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim_end().to_owned())
}
