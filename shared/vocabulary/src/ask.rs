//! Asking a program for its options: sealed, without a GPU, within a limit.
use crate::{DUMP, MAX_BYTES, Vocabulary};
use child::{Start, User, exit_words};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program of its own answers in milliseconds, from a cold disk in seconds.
const LIMIT: Duration = Duration::from_secs(20);
/// Whoever has closed its output has only to end.
const END_LIMIT: Duration = Duration::from_secs(1);
/// Of what it complains of, this many bytes of the end are kept.
const COMPLAINT_BYTES: usize = 4096;
/// Characters of a complaint's line that are told.
const WORDS: usize = 200;
/// A Python engine imports gigabytes before it has a parser, from a cold disk in minutes.
const PYTHON_LIMIT: Duration = Duration::from_secs(180);

/// A program that has options.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// llama.cpp: `llama-server`; else the interpreter.
    pub program: &'a Path,
    /// Where its libraries are.
    pub library_dir: Option<&'a Path>,
    /// vLLM, SGLang: the server's module.
    pub module: Option<&'a str>,
    /// Variables that it needs, and folders before PATH.
    pub activation: Option<&'a record::Activation>,
    /// As whom, where that is somebody else.
    pub user: Option<&'a User>,
}

impl Speaker<'_> {
    /// Ask it.
    ///
    /// # Errors
    /// Why it did not answer, within 20 seconds, a Python engine within three minutes.
    pub fn ask(&self) -> Result<Vocabulary, String> {
        log::info!("asking {} for its options", self.program.display());
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/");
        let user = self.user.cloned();
        Start { user, death_signal: Some(Signal::KILL), ..Start::default() }.apply(&mut command);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let limit = if self.module.is_some() { PYTHON_LIMIT } else { LIMIT };
        let mut complaint = Vec::new();
        let answer = answer(&mut child, limit, &mut complaint);
        let text = answer.map_err(|error| error.to_string());
        let read = |text: &String| match self.module {
            Some(_) => Vocabulary::of_dump(text),
            None => Vocabulary::of_help(text),
        };
        let vocabulary = text.as_ref().ok().and_then(read);
        let ended = if text.is_ok() && vocabulary.is_none() { end_of(&mut child) } else { None };
        // Its answer is complete or worth nothing.
        drop(child.kill());
        drop(child.wait());
        drop(text?);
        vocabulary.ok_or_else(|| match ended.filter(|status| !status.success()) {
            Some(status) => format!("{}{}", exit_words(status), last_words(&complaint)),
            None => "its answer is no list of options".to_owned(),
        })
    }

    fn command(&self) -> Command {
        // An engine that is asked has no business on the network.
        let mut command = match child::sibling("iseal") {
            Ok(iseal) => {
                let mut sealed = Command::new(iseal);
                sealed.args(["--best-effort", "--"]).arg(self.program);
                sealed
            }
            Err(_) => Command::new(self.program),
        };
        match self.module {
            Some(module) => command.args(["-c", DUMP, module]),
            None => command.arg("--help"),
        };
        // What configures another program, or this one in another life, has no say here.
        let ours = |name: &OsString| {
            let name = name.to_string_lossy();
            ["AUTO_INFER_", "LLAMA_ARG_", "PYTHON"].iter().any(|start| name.starts_with(start))
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        if self.user.is_none() {
            User::set_name_of_unknown_user(&mut command);
        }
        command.env("CUDA_VISIBLE_DEVICES", "").env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(libraries) = self.library_dir {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if let Some(activation) = self.activation {
            let path = std::env::var_os("PATH").map(PathBuf::from);
            let folders = activation.path.iter().cloned().chain(path).map(PathBuf::into_os_string);
            command.envs(&activation.variables).env("PATH", folders.collect::<Vec<_>>().join(":".as_ref()));
        }
        command
    }
}

/// How it has ended, once it has closed its output.
fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + END_LIMIT;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            ended => return ended.ok().flatten(),
        }
    }
}

/// The last line of what it complained of that is no hint, as it follows what it is about.
fn last_words(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let said = |line: &&str| !line.trim().is_empty() && !line.contains(": hint: ");
    let line: String = text.lines().rfind(said).unwrap_or_default().trim().chars().take(WORDS).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

/// All that it writes until it closes its output, within the limits, and the end of what it complains of meanwhile.
fn answer(child: &mut Child, limit: Duration, complaint: &mut Vec<u8>) -> io::Result<String> {
    let (Some(mut output), mut errors) = (child.stdout.take(), child.stderr.take()) else {
        return Ok(String::new());
    };
    let deadline = Instant::now() + limit;
    let mut text = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::TimedOut)?;
        let mut ready = vec![PollFd::new(&output, PollFlags::IN)];
        ready.extend(errors.as_ref().map(|errors| PollFd::new(errors, PollFlags::IN)));
        // Who complains without end is ready every time.
        if left.is_zero() || poll(&mut ready, Some(&timeout))? == 0 {
            return Err(io::Error::other(format!("it said nothing for {} s", limit.as_secs())));
        }
        let [speaks, complains] = [0, 1].map(|at| ready.get(at).is_some_and(|fd| !fd.revents().is_empty()));
        // First, so that what it said before its end is there at its end.
        if let Some(pipe) = errors.as_mut().filter(|_| complains) {
            let read = pipe.read(&mut buffer)?;
            complaint.extend_from_slice(&buffer[..read]);
            complaint.drain(..complaint.len().saturating_sub(COMPLAINT_BYTES));
            if read == 0 {
                errors = None;
            }
        }
        if !speaks || complains {
            continue;
        }
        match output.read(&mut buffer)? {
            0 => return String::from_utf8(text).map_err(|_| io::Error::other("its answer is no text")),
            read => text.extend_from_slice(&buffer[..read]),
        }
        if text.len() > MAX_BYTES {
            return Err(io::Error::other("its answer does not end"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker<'a>(program: &'a str, module: Option<&'a str>) -> Speaker<'a> {
        let program = Path::new(program);
        Speaker { program, library_dir: None, module, activation: None, user: None }
    }

    #[test]
    fn a_program_that_says_something_else_has_no_options() {
        assert_eq!(speaker("/bin/true", None).ask().unwrap_err(), "its answer is no list of options");
        assert_eq!(speaker("/bin/echo", Some("x")).ask().unwrap_err(), "its answer is no list of options");
        assert_eq!(speaker("/bin/false", None).ask().unwrap_err(), "exit 1");
        assert!(speaker("/nonexistent", None).ask().unwrap_err().contains("No such file"));
    }
}
