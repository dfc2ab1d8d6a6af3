//! Running a program that must not reach the network: under `iseal`, holding our lock, gone when we are.
use install::RootLock;
use pixi::{Job, JobOutput};
use record::{Seal, Warning};
use rustix::fs::{OFlags, fcntl_setfl};
use std::cell::Cell;
use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use tool::{Code, Failure};

/// What programs are run with, and what kept all of them so far from the network.
#[derive(Debug)]
pub(crate) struct Sealed<'a> {
    iseal: PathBuf,
    lock: &'a RootLock,
    /// The weakest that held; `None` before anything ran.
    held: Cell<Option<Seal>>,
}

impl<'a> Sealed<'a> {
    /// With the `iseal` beside our own executable, else in PATH. What runs holds `lock` as long as it lives.
    pub(crate) fn new(lock: &'a RootLock) -> Result<Self, Failure> {
        let iseal = child::sibling("iseal")?;
        Ok(Self { iseal, lock, held: Cell::new(None) })
    }

    /// A command that runs `program` sealed; arguments, environment and folder are still to be set.
    pub(crate) fn command(&self, program: &Path) -> Result<SealedCommand, Failure> {
        let cannot = |error| Failure::io(Code::Unmet, format!("cannot run {}", program.display()), &error);
        let (report, write) = std::io::pipe().map_err(cannot)?;
        let mut command = Command::new(&self.iseal);
        command.arg(format!("--report-fd={}", write.as_raw_fd()));
        command.arg(format!("--keep-fd={}", self.lock.as_raw_fd()));
        command.arg("--best-effort").arg("--").arg(program);
        child::User::set_name_of_unknown_user(&mut command);
        Ok(SealedCommand { command, report, write, captures: false })
    }

    /// Run it to its end. How it ended is no error, unless it never began.
    pub(crate) fn run(&self, sealed: SealedCommand, label: &str) -> Result<JobOutput, Failure> {
        let SealedCommand { command, mut report, write, captures } = sealed;
        let mut job = Job::new(command).keep(write.as_raw_fd()).keep(self.lock.as_raw_fd());
        if captures {
            job = job.capture();
        }
        let ended = job.run(label)?;
        drop(write);
        // It was written before the program began; who may still hold the pipe is not waited for.
        let mut said = [0; 32];
        let read = fcntl_setfl(&report, OFlags::NONBLOCK).is_ok().then(|| report.read(&mut said));
        let said = String::from_utf8_lossy(&said[..read.and_then(Result::ok).unwrap_or(0)]);
        let held = match said.trim() {
            "namespace" => Seal::Namespace,
            "seccomp" => Seal::Seccomp,
            "none" => Seal::None,
            _ => return Err(ended.failure(format!("cannot run {} for {label}", self.iseal.display()))),
        };
        let weaker = self.held.get().map_or(held, |before| weaker(before, held));
        self.held.set(Some(weaker));
        Ok(ended)
    }

    /// What held all the time.
    pub(crate) fn seal(&self) -> Seal {
        self.held.get().unwrap_or(Seal::None)
    }

    /// Where nothing held, that is said.
    pub(crate) fn warning(&self, engine: record::Engine) -> Option<Warning> {
        (self.held.get() == Some(Seal::None)).then(|| Warning {
            engine: Some(engine),
            instance: None,
            rule: "not_sealed".to_owned(),
            what: "the installer could have reached the network".to_owned(),
            hint: "this machine refuses namespaces and seccomp filters; it was only told to be offline"
                .to_owned(),
        })
    }
}

/// A command that will run sealed.
pub(crate) struct SealedCommand {
    pub(crate) command: Command,
    report: PipeReader,
    write: PipeWriter,
    captures: bool,
}

impl SealedCommand {
    /// Keep what it writes to stdout: it is an answer.
    pub(crate) fn capture(mut self) -> Self {
        self.captures = true;
        self
    }
}

fn weaker(one: Seal, other: Seal) -> Seal {
    match (one, other) {
        (Seal::None, _) | (_, Seal::None) => Seal::None,
        (Seal::Seccomp, _) | (_, Seal::Seccomp) => Seal::Seccomp,
        _ => Seal::Namespace,
    }
}
