//! iprobe: wait until instances are ready.
//!
//! Reads `instance` as they come and follows each through its state directory. Writes one `ready` per instance the moment
//! that it is, else `failed`. With `--state` it reads no records; with `--url` it neither reads nor writes any.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod expected_model;
mod given;
mod not_ready;
mod probe_set;
mod processes;
mod readiness;
mod router;
mod state_dir;
mod watch;
mod watchdog;

use crate::expected_model::ExpectedModel;
use crate::given::{known, read_key};
use crate::readiness::{ReadinessProbe, Step};
use crate::watch::{ProbeOptions, Watch};
use ask::Target;
use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use record::{Engine, Rung};
use state::Directory;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tool::{Code, Failure, Io, Outcome};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// The rung to reach [default: what the plan says, else answering]
    #[arg(long, value_parser = PossibleValuesParser::new(Rung::ALL.map(Rung::id)).map(rung))]
    rung: Option<Rung>,
    /// File of ichat --record for rung correct [default: what the plan says]
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// The longest wait while the engine runs [default: what the plan says, else 3600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Look once and do not wait
    #[arg(long, requires = "where")]
    once: bool,
    /// The instance whose state directory this is, instead of those that records name
    #[arg(long, value_name = "DIR", group = "where")]
    state: Option<PathBuf>,
    /// The server at this base URL
    #[arg(long, group = "where")]
    url: Option<String>,
    /// File with the server's key, instead of the one in the state directory
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// How long a look may take.
const ONCE_SECONDS: u64 = 60;

/// One of the words that the parser let through.
#[expect(clippy::needless_pass_by_value, reason = "clap hands it over")]
fn rung(word: String) -> Rung {
    Rung::ALL.into_iter().find(|rung| rung.id() == word).unwrap_or(Rung::Answering)
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    // A look is not a wait: a server that hangs is not ready.
    let timeout = args.timeout.or(args.once.then_some(ONCE_SECONDS)).map(Duration::from_secs);
    let options = ProbeOptions { rung: args.rung, timeout, key_file: args.key_file, answers: args.answers };
    match (args.url, args.state) {
        (Some(url), _) => probe_url(&url, &options, args.once)?,
        (None, Some(state)) if args.once => Watch::new(Directory::at(state), &options)?.once()?,
        (None, Some(state)) => probe_set::only(Directory::at(state), &options, io)?,
        (None, None) => probe_set::of_stream(&options, io)?,
    }
    Ok(Outcome::Done)
}

/// A server that we know nothing else of.
fn probe_url(url: &str, options: &ProbeOptions, once: bool) -> Result<(), Failure> {
    let target = Target::parse(url)
        .map_err(|cause| Failure::new(Code::Usage, format!("cannot use the URL '{url}'"), cause))?;
    if options.rung == Some(Rung::Alive) {
        let cause = "a process is alive, and of a URL no process is known";
        return Err(Failure::new(Code::Usage, "cannot probe a URL for rung alive", cause)
            .hint("ask for healthy, or name an instance with --state"));
    }
    let target = target.with_key(options.key_file.as_deref().map(read_key).transpose()?);
    let probe = &engine::of(Engine::LlamaCpp).probe;
    let mut readiness =
        ReadinessProbe::new(target, probe, ExpectedModel::Any, options.rung.unwrap_or(Rung::Answering));
    let known = known(readiness.goal(), options.answers.as_deref(), None)?;
    readiness = readiness.with_answers(known);
    let cap = options.timeout.unwrap_or(Duration::from_secs(3600));
    let begun = Instant::now();
    loop {
        let left = cap.saturating_sub(begun.elapsed());
        let why = match readiness.step(left.max(Duration::from_millis(100)), &|| Ok(()))? {
            Step::Ready => return Ok(()),
            Step::Advanced => continue,
            Step::Pending(why) | Step::Moved(why) | Step::PortConflict(why) => why,
        };
        let what = format!("{} is not ready", readiness.target.url());
        if once {
            return Err(Failure::new(Code::No, what, why));
        }
        if left.is_zero() {
            return Err(Failure::new(Code::Later, what, format!("{} s are over; {why}", cap.as_secs())));
        }
        std::thread::sleep((begun.elapsed() / 20).clamp(probe.first_pause, probe.last_pause).min(left));
    }
}
