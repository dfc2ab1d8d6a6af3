//! Asking a program for its options: sealed, without a GPU, within a limit.
use super::Speaker;
use crate::Options;
use crate::install::Install;
use child::{Start, User};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use vocabulary::{DUMP, MAX_BYTES, Vocabulary};

/// A Python engine imports gigabytes before it has a parser, from a cold disk in minutes.
const LIMIT: Duration = Duration::from_secs(180);

impl Speaker<'_> {
    /// Ask it; an error is why it did not answer.
    pub(super) fn ask(&self, install: &Install, options: &Options) -> Result<Vocabulary, String> {
        log::info!("asking {} for its options", self.program.display());
        let user = self.user.map(User::named).transpose().map_err(|error| error.to_string())?.flatten();
        let mut command = self.command(install, options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir("/");
        let user = user.filter(|user| !user.is_current());
        Start { user, death_signal: Some(Signal::KILL), ..Start::default() }.apply(&mut command);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let answer = answer(&mut child, Instant::now() + LIMIT);
        // Its answer is complete or worth nothing.
        drop(child.kill());
        drop(child.wait());
        let text = answer.map_err(|error| error.to_string())?;
        let read =
            if self.module.is_some() { Vocabulary::of_dump(&text) } else { Vocabulary::of_help(&text) };
        read.ok_or_else(|| "it answers with something else".to_owned())
    }

    fn command(&self, install: &Install, options: &Options) -> Command {
        let mut command = match seal(options) {
            Some(iseal) => {
                let mut sealed = Command::new(iseal);
                sealed.args(["--best-effort", "--"]).arg(self.program);
                sealed
            }
            None => Command::new(self.program),
        };
        match self.module {
            Some(module) => command.args(["-c", DUMP, module]),
            None => command.arg("--help"),
        };
        for name in crate::environment::dropped(&options.environment, &[]) {
            command.env_remove(name);
        }
        command.env("CUDA_VISIBLE_DEVICES", "").env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(libraries) = self.library_dir {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if let Some(activation) = &install.activation {
            command.envs(&activation.variables);
            let path = options.environment.get("PATH").map(PathBuf::from);
            let folders = activation.path.iter().cloned().chain(path);
            command.env("PATH", folders.map(PathBuf::into_os_string).collect::<Vec<_>>().join(":".as_ref()));
        }
        command
    }
}

/// `iseal`, where it is at hand: an engine that is asked has no business on the network.
fn seal(options: &Options) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("iseal"));
    beside
        .filter(|path| path.is_file())
        .or_else(|| which::which_in("iseal", options.environment.get("PATH"), Path::new("/")).ok())
}

/// All that it writes until it closes its output, within the limits.
fn answer(child: &mut Child, deadline: Instant) -> io::Result<String> {
    let too_much = || io::Error::other("its answer does not end");
    let Some(mut output) = child.stdout.take() else { return Ok(String::new()) };
    let mut text = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).map_err(|_| io::ErrorKind::TimedOut)?;
        if poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&limit))? == 0 {
            return Err(io::Error::other(format!("no answer within {} s", LIMIT.as_secs())));
        }
        match output.read(&mut buffer)? {
            0 => return String::from_utf8(text).map_err(|_| io::Error::other("its answer is no text")),
            read => text.extend_from_slice(&buffer[..read]),
        }
        if text.len() as u64 > MAX_BYTES {
            return Err(too_much());
        }
    }
}
