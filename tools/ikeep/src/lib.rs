//! ikeep: keep one instance of an engine.
//!
//! Reads one start request, `{"plan": …, "secrets": …}`, on standard input. Writes no records: it reports on a pipe once the
//! instance is kept, and afterwards speaks through `status.json` in the state directory.
#![expect(clippy::disallowed_methods, reason = "runs as the instance's user, on that user's files")]
mod activity;
mod cause;
mod destination;
mod egress;
mod event;
mod events;
mod health;
mod idle;
mod keeper;
mod life;
mod listener;
mod log;
mod memory;
mod processes;
mod redactor;
mod restart;
mod rotated;
mod state_dir;
mod take_lock;

use crate::events::Events;
use crate::keeper::Keeper;
use crate::log::Log;
use crate::processes::Engine;
use crate::state_dir::StateDir;
use clap::Parser;
use state::{Directory, StartReport, StartRequest};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use tool::thread::unavailable;
use tool::{Code, Failure, vars};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Report on this descriptor once the instance is kept, or why it is not
    #[arg(long, value_name = "FD")]
    report: Option<RawFd>,

    /// Start the engine once the instance kept there is healthy, failed or stopped
    #[arg(long, value_name = "STATE_DIR")]
    after: Option<PathBuf>,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main_process(run)
}

fn run(Args { report: descriptor, after }: Args) -> Result<u8, Failure> {
    let pipe = child::only_inherited(descriptor)
        .map_err(|error| Failure::io(Code::Usage, "cannot report on the descriptor of --report", &error))?;
    let other = after.map(Directory::at);
    let begun = begin(other.as_ref());
    let reported = pipe.map(|pipe| report(File::from(pipe), &begun));
    match begun {
        Ok((keeper, engine)) => Ok(keeper.keep(engine, other.as_ref())),
        // Whoever reads the report says so.
        Err(failure) if reported.is_some() => Ok(failure.code.number()),
        Err(failure) => Err(failure),
    }
}

/// Everything until the instance is kept: the engine is started, or waits for the other.
fn begin(other: Option<&Directory>) -> Result<(Keeper, Option<Engine>), Failure> {
    let (request, stopping) = read_request()?;
    let unmet = |what: &str, error: io::Error| Failure::io(Code::Unmet, what, &error);
    let plan = &request.plan;
    ::log::info!("keeps {} {}, its state in {}", plan.engine, plan.instance, plan.state_dir.display());
    let state_dir = StateDir::take(Directory::at(&plan.state_dir), stopping)?;
    let install = plan.install_path.as_deref().map(install::hold).transpose()?;
    processes::adopt_orphans().map_err(|error| unmet("cannot become a subreaper", error))?;
    processes::leave_unreadable_folder();
    let events = Events::listen().map_err(|error| tool::thread::no_signals(&error))?;
    state_dir.write_request(&request)?;
    ::log::info!("holds the lock; from here on its log {} says what happens", plan.log_file.display());
    let log = open_log(&request, &events)?;
    let mut keeper = Keeper::new(request, state_dir, events, log, install);
    let Some(other) = other else {
        return match keeper.start() {
            Ok(engine) => Ok((keeper, Some(engine))),
            Err(failure) => {
                keeper.not_started(&failure);
                Err(failure)
            }
        };
    };
    keeper.wait_for(other);
    Ok((keeper, None))
}

/// The request, and the keeper that is being stopped for it.
fn read_request() -> Result<(StartRequest, Option<u32>), Failure> {
    let wanted = "it is written for ilaunch, which starts ikeep with a plan: ienv llama-cpp | iinstall | iplan | ilaunch";
    let mut text = Vec::new();
    if io::stdin().is_terminal() {
        let cause = "it is a terminal, and a start request is wanted, {\"plan\": …, \"secrets\": …}";
        return Err(
            Failure::new(Code::Usage, "cannot read the start request on standard input", cause).hint(wanted)
        );
    }
    let read = io::stdin().read_to_end(&mut text);
    read.map_err(|error| {
        Failure::io(Code::Input, "cannot read the start request on standard input", &error)
    })?;
    let (text, stopping) = state::split_stopping(&text);
    let request = parse_request(text).map_err(|cause| {
        Failure::new(Code::Input, "standard input is not a start request", cause).hint(wanted)
    })?;
    if let Ok(null) = File::open("/dev/null") {
        // Whoever wrote the request may keep the other end open.
        rustix::stdio::dup2_stdin(&null).ok();
    }
    Ok((request, stopping))
}

/// What is wrong is said without the names of our types.
fn parse_request(text: &[u8]) -> Result<StartRequest, String> {
    if text.trim_ascii().is_empty() {
        return Err("it is empty".to_owned());
    }
    let json: serde_json::Value = serde_json::from_slice(text).map_err(|error| {
        format!("it is not JSON, from line {} column {} on", error.line(), error.column())
    })?;
    match json.as_object().map(|fields| fields.get("plan")) {
        None => return Err("it is JSON, but not an object".to_owned()),
        Some(None) => return Err("it has no 'plan'".to_owned()),
        Some(Some(plan)) if !plan.is_object() => return Err("its 'plan' is not an object".to_owned()),
        Some(Some(_)) => {}
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

fn open_log(StartRequest { plan, secrets }: &StartRequest, events: &Events) -> Result<Log, Failure> {
    let values = secrets.env.values().chain(&secrets.api_key).chain(&secrets.values);
    let secrets = values.map(|value| value.clone().into_bytes()).collect();
    let control = &plan.control;
    let max_bytes = control.log_max_mib.saturating_mul(1 << 20).max(1);
    let (keep, aloud, time_every) = (control.log_keep, !control.background, log::TIME_EVERY);
    let options = log::Options { max_bytes, keep, secrets, aloud, time_every };
    Log::open(&plan.log_file, options, events.sender()).map_err(|error| {
        let failure = unavailable(format!("cannot open the log {}", plan.log_file.display()), &error);
        let folder = plan.log_file.parent().unwrap_or(Path::new("/")).display();
        let hint = format!(
            "no file can be made or written in {folder}; set log_dir or {} to another",
            vars::LOG_DIR
        );
        if failure.hint.is_some() { failure } else { failure.hint(hint) }
    })
}

/// Whoever started us may have gone; the instance is kept all the same.
fn report<T>(mut pipe: File, begun: &Result<T, Failure>) {
    let report = match begun {
        Ok(_) => StartReport::Kept { keeper_pid: std::process::id() },
        Err(Failure { what, cause, hint, class, code, .. }) => {
            let (what, cause, hint, class) = (what.clone(), cause.clone(), hint.clone(), class.clone());
            StartReport::Failed { what, cause, hint, class, code: code.number() }
        }
    };
    // The line's end says that it is whole: others may hold the pipe open.
    drop(serde_json::to_vec(&report).map(|line| pipe.write_all(&[line.as_slice(), b"\n"].concat())));
}
