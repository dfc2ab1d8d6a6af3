//! iseal: run a command that cannot reach the network.
//!
//! Reads no records and writes none: it takes the network from this process, proves it, says on a descriptor how it was
//! done, and becomes the command.
#![expect(clippy::disallowed_methods, reason = "/proc and /sys are the kernel's")]
mod environment;
mod filter;
mod namespace;
mod network;

use clap::{Parser, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use tool::{Code, Failure};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Write on this descriptor what holds: namespace, seccomp or none
    #[arg(long, value_name = "FD")]
    report_fd: Option<RawFd>,

    /// Leave this descriptor open for COMMAND; may be given several times
    #[arg(long, value_name = "FD")]
    keep_fd: Vec<RawFd>,

    /// Run COMMAND all the same where nothing can hold
    #[arg(long)]
    best_effort: bool,

    /// Try only this way to take the network away
    #[arg(long)]
    method: Option<Method>,

    /// The program to run, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = clap::ValueHint::AnyPath)]
    command: Vec<OsString>,
}

/// How a process loses the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    Namespace,
    Seccomp,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Seccomp => "seccomp",
        }
    }

    fn apply(self) -> Result<(), String> {
        match self {
            Self::Namespace => namespace::enter(),
            Self::Seccomp => filter::install(),
        }
    }
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main_process(run)
}

fn run(Args { report_fd, keep_fd, best_effort, method, command }: Args) -> Result<u8, Failure> {
    let report = child::only_inherited_and(report_fd, &keep_fd).map_err(|error| {
        Failure::io(Code::Usage, "cannot use a descriptor of --report-fd or --keep-fd", &error)
    })?;
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Failure::new(Code::Usage, "cannot run nothing", "no COMMAND is given"))?;
    let what = || format!("cannot keep {} from the network", program.display());
    let holds = match seal(method) {
        Ok(method) => method.name(),
        Err(why) if best_effort => {
            log::warn!("{}: {why}", what());
            "none"
        }
        Err(why) => {
            return Err(Failure::new(Code::Unmet, what(), why).hint(
                "let this machine or container have user namespaces, CAP_SYS_ADMIN or seccomp filters; \
                 with --best-effort the command runs all the same",
            ));
        }
    };
    log::info!("{holds} keeps {} from the network", program.display());
    if let Some(report) = report {
        // Whoever asked for it goes by it, and must not take a command for sealed or unsealed that is neither.
        writeln!(File::from(report), "{holds}")
            .map_err(|error| Failure::io(Code::Unmet, format!("cannot report '{holds}'"), &error))?;
    }
    let mut command = Command::new(program);
    environment::prepare(command.args(arguments));
    Err(not_run(program, &command.exec()))
}

/// The first way that holds.
fn seal(only: Option<Method>) -> Result<Method, String> {
    let mut refusals = Vec::new();
    for method in Method::value_variants().iter().filter(|method| only.is_none_or(|only| only == **method)) {
        match method.apply() {
            Ok(()) => return Ok(*method),
            Err(why) => {
                log::info!("no {}: {why}", method.name());
                refusals.push(why);
            }
        }
    }
    Err(refusals.join("; "))
}

/// As a shell says it.
fn not_run(program: &OsStr, error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    child::not_run(Code::Child(code), Path::new(program), error)
}
