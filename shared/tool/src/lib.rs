//! How a process of ours begins, speaks and ends.
//!
//! Owns the main wrapper, logging, progress bars, and [`Io`]: a tool's end of the wire with the rules that hold for every
//! tool. Nothing else in the project writes to stderr, and nothing but [`Io`] writes to stdout. Hands on what every tool
//! needs of the crates below it; those that are no tools take it from there, and do without a command line and a log.
mod abort;
mod clock;
pub mod complete;
mod io;
mod progress;
mod stderr;
mod stop_signals;
mod subject;
mod witness;
mod words;

pub use clock::now_unix;
pub use failure::{Code, Failure, io_text};
pub use io::Io;
pub use progress::{bytes_bar, instance_line, lines};
pub use stop_signals::StopSignals;
pub use subject::Subject;
pub use text::{count, lines_of, nearest, one_line, size, utc};
pub use threads as thread;
pub use variables as vars;
pub use words::unreadable;

use clap::ArgAction;
use std::process::ExitCode;

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done, or the answer is yes.
    Done,
    /// The question was understood and the answer is no: exit code 1.
    No,
    /// The program that we ran in the foreground has ended with this code.
    Child(u8),
}

/// A tool of the wire: parse the command line, start logging, run, and end with the code that the stream calls for.
///
/// The first `failed` record in the output, read or our own, decides the exit code, so that the last tool of a pipe
/// speaks for the whole. A reader that went away ends the run quietly.
pub fn main<A>(run: fn(A, &mut Io) -> Result<Outcome, Failure>) -> ExitCode
where
    A: clap::Parser,
{
    let (args, name) = match begin::<A>() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let mut io = Io::new(name);
    let outcome = run(args, &mut io);
    let own = match &outcome {
        Ok(Outcome::Done) => None,
        Ok(Outcome::No) => Some(Code::No.number()),
        Ok(Outcome::Child(code)) => Some(*code),
        Err(failure) => {
            stderr::print(name, failure);
            Some(failure.code.number())
        }
    };
    ExitCode::from(io.code().or(own).unwrap_or(0))
}

/// A tool that is a process and not a filter (`ikeep`, `iseal`): as [`main`], without the wire; `run` gives the exit code.
pub fn main_process<A>(run: fn(A) -> Result<u8, Failure>) -> ExitCode
where
    A: clap::Parser,
{
    let (args, name) = match begin::<A>() {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    match run(args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            stderr::print(name, &failure);
            ExitCode::from(failure.code.number())
        }
    }
}

/// One line on stderr, `tool: text`: what a process that writes no records says to a person beside its one failure.
pub fn note(name: &str, text: &str) {
    stderr::say(&format!("{name}: {text}\n"));
}

/// Write a text to standard output: for a process that writes no records. A reader that went away is no failure.
///
/// # Errors
/// Code 69 when it cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::io(Code::Unmet, "cannot write standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Parse the command line and start logging; `Err` is how to end at once (usage, `--help`, `--version`).
fn begin<A: clap::Parser>() -> Result<(A, &'static str), ExitCode> {
    let command = A::command();
    let name: &'static str = command.get_name().to_owned().leak();
    abort::end_with_a_code(name);
    abort::outlive_file_size_limit();
    let verbose = clap::Arg::new("verbose")
        .short('v')
        .long("verbose")
        .action(ArgAction::Count)
        .help("Log more to stderr; twice for all");
    let command = command.arg(verbose).after_help(format!("see {name}(1)"));
    let matches = match complete::handle_completion(&command, name) {
        Ok(true) => return Err(ExitCode::SUCCESS),
        Ok(false) => command.try_get_matches(),
        Err(error) => Err(error),
    };
    let parsed =
        matches.and_then(|matches| Ok((A::from_arg_matches(&matches)?, matches.get_count("verbose"))));
    match parsed {
        Ok((args, verbosity)) => {
            start_logging(name, verbosity);
            Ok((args, name))
        }
        Err(error) if error.use_stderr() => {
            drop(error.print());
            Err(ExitCode::from(Code::Usage.number()))
        }
        Err(error) => Err(ExitCode::from(said(name, error.print()))),
    }
}

/// The exit code of a run that was only to print `--help` or `--version`.
fn said(name: &str, printed: std::io::Result<()>) -> u8 {
    use std::io::Write;
    match printed.and_then(|()| std::io::stdout().flush()) {
        Ok(()) => 0,
        // A reader that went away is no failure of ours.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            let failure = Failure::io(Code::Unmet, "cannot write standard output", &error);
            stderr::print(name, &failure);
            failure.code.number()
        }
    }
}

/// Libraries that log.
const LIBRARIES: [&str; 3] = ["ureq", "rustls", "hyper"];

/// `INFER_DEV_LOG` says what is logged (default `warn`); each `-v` raises the level. One line each, `tool: level: text`.
fn start_logging(name: &'static str, verbosity: u8) {
    use std::io::Write;
    let mut builder = env_logger::Builder::new();
    builder.filter_level(log::LevelFilter::Warn);
    let filter = std::env::var(vars::INFER_DEV_LOG).unwrap_or_default();
    // What a library says of its own doings helps nobody who did not ask for it by name.
    for library in LIBRARIES.into_iter().filter(|library| !filter.contains(library)) {
        builder.filter_module(library, log::LevelFilter::Warn);
    }
    builder.parse_filters(&filter);
    match verbosity {
        0 => {}
        1 => drop(builder.filter_level(log::LevelFilter::Info)),
        _ => drop(builder.filter_level(log::LevelFilter::Debug)),
    }
    builder.format(move |out, entry| {
        let level = entry.level().as_str().to_ascii_lowercase();
        writeln!(out, "{name}: {level}: {}", one_line(&entry.args().to_string()))
    });
    builder.init();
}
