//! ijoin: join the parts of a split file, naming every bad one.
//!
//! Reads the parts. Writes the whole, to standard output or a file, and no records: bad and missing parts are named on
//! standard error.
#![expect(clippy::disallowed_methods, reason = "acts as its caller, on the caller's own files")]
mod digester;
mod mend;
mod set;
mod staging;
mod stream;
mod walk;

use crate::digester::start_digester;
use crate::set::{Problem, Set};
use crate::staging::{Staging, StagingState};
use crate::stream::Stdout;
use crate::walk::Walk;
use clap::Parser;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

const BRING_AGAIN_HINT: &str = "bring these again; nothing was written";

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Parts, and folders that hold parts
    #[arg(required = true, value_name = "DIR|PART")]
    paths: Vec<PathBuf>,

    /// Check all parts and write nothing
    #[arg(long, conflicts_with = "into")]
    check: bool,

    /// Write the whole to FILE, going on where an earlier run ended
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,

    /// Folder with room for parts that are rebuilt from parity [default: that of FILE, else TMPDIR]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Which whole, where there are parts of several: its name, or how its sha256 begins
    #[arg(long, value_name = "NAME|SHA256")]
    whole: Option<String>,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main_process(run)
}

fn run(Args { paths, check, into, whole, scratch }: Args) -> Result<u8, Failure> {
    if !check && into.is_none() && io::stdout().is_terminal() {
        let hint = "write to a file with --into FILE, or to a pipe";
        return Err(Failure::new(Code::Usage, "standard output is a terminal", "not for data").hint(hint));
    }
    let mut set = Set::gather(&paths, whole.as_deref())?;
    log::info!("parts of {} were found, which has {} of them", set.whole.name, set.whole.count());
    if let Some(file) = into {
        let beside = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return join_into(&mut set, &file, &scratch.unwrap_or_else(|| beside.to_owned()));
    }
    if check {
        return check_all(&set);
    }
    join_to_stdout(&mut set, &scratch.unwrap_or_else(std::env::temp_dir))
}

/// What is bad or missing; nothing is written.
fn find_problems(set: &Set) -> Result<Vec<Problem>, Failure> {
    let bar = tool::bytes_bar(&format!("checking {}", set.whole.name), set.whole.size_bytes);
    Walk { set, digester: start_digester()?, sink: None, bar }.run(0)
}

fn check_all(set: &Set) -> Result<u8, Failure> {
    let problems = find_problems(set)?;
    if !mend::can(set, &problems) {
        return conclude(set, "check", &problems, BRING_AGAIN_HINT);
    }
    let (name, sha256) = (&set.whole.name, &set.whole.sha256);
    if problems.is_empty() {
        tool::note("ijoin", &format!("{name} is complete and right, sha256 {sha256}"));
    }
    for problem in &problems {
        tool::note("ijoin", &problem.text);
    }
    Ok(0)
}

fn join_to_stdout(set: &mut Set, scratch: &Path) -> Result<u8, Failure> {
    if !set.looks_complete() {
        let problems = find_problems(set)?;
        // Without a problem, what was missing has come in the meantime.
        if !problems.is_empty() && !mend::rebuild(set, &problems, scratch)? {
            return conclude(set, "join", &problems, BRING_AGAIN_HINT);
        }
    }
    let mut stdout = Stdout::open(set)?;
    let mut problems = stdout.write(set)?;
    if !problems.is_empty() && stdout.next.is_some() && mend::rebuild(set, &problems, scratch)? {
        problems = stdout.write(set)?;
    }
    conclude(set, "join", &problems, "what was written so far is right, and is not all of it")
}

fn join_into(set: &mut Set, file: &Path, scratch: &Path) -> Result<u8, Failure> {
    let Some((problems, kept)) = join_once(set, file)? else { return Ok(0) };
    if mend::rebuild(set, &problems, scratch)? {
        return match join_once(set, file)? {
            Some((problems, _)) => conclude(set, "join", &problems, BRING_AGAIN_HINT),
            None => Ok(0),
        };
    }
    let hint = match kept {
        0 => BRING_AGAIN_HINT.to_owned(),
        kept => format!("bring these, and run the same command: it goes on after part {kept}"),
    };
    conclude(set, "join", &problems, &hint)
}

/// Write the file as far as all parts are right; `None` is a file that is complete, else what is wrong, and how many parts
/// are kept.
fn join_once(set: &Set, file: &Path) -> Result<Option<(Vec<Problem>, u64)>, Failure> {
    let whole = &set.whole;
    let staging = match Staging::begin(file, whole)? {
        StagingState::AlreadyComplete => {
            tool::note("ijoin", &format!("{} is {} already", file.display(), whole.name));
            return Ok(None);
        }
        StagingState::Staging(staging) => staging,
    };
    let digester = start_digester()?;
    let held = staging.resume(set, &digester)?;
    let bar = tool::bytes_bar(&format!("joining {}", whole.name), whole.size_bytes);
    bar.inc(whole.offset_of(held + 1));
    let problems = Walk { set, digester, sink: Some(&staging), bar }.run(held)?;
    if problems.is_empty() {
        staging.finish()?;
        tool::note("ijoin", &format!("{} is {}, sha256 {}", file.display(), whole.name, whole.sha256));
        return Ok(None);
    }
    let kept = staging.keep();
    Ok(Some((problems, kept)))
}

/// Every bad or missing part on a line of its own, then what came of it.
fn conclude(set: &Set, verb: &str, problems: &[Problem], hint: &str) -> Result<u8, Failure> {
    let Some(first) = problems.first() else { return Ok(0) };
    let code = first.code;
    let count: u64 = problems.iter().map(|problem| problem.count).sum();
    for problem in problems {
        tool::note("ijoin", &problem.text);
    }
    let what = format!("cannot {verb} {}", set.whole.name);
    let cause = format!(
        "{count} of {} parts {} bad or missing",
        set.whole.count(),
        if count == 1 { "is" } else { "are" }
    );
    Err(Failure::new(code, what, cause).hint(hint))
}
