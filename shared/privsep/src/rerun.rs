//! This tool once more, as another user.
use crate::RecordFilter;
use crate::listen::{ChildOutput, listen};
use crate::text::{TEXT_BYTES, clean};
use child::{Leader, Start, User};
use failure::{Code, Failure};
use record::{Record, Writer};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::process::Signal;
use std::io::{self, Seek};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tool::{Io, StopSignals};
use tree::{Limits, ProcessHandle};

/// How long the second process has to end what it has started, before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long a killed one is waited for: whoever traces it can keep its end from us.
const DEATH: Duration = Duration::from_secs(1);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(10);

/// What the second process is given: a command line, records on its standard input, and descriptors. Of the environment it
/// gets what a user's process gets, and nothing that was set for us.
#[derive(Debug)]
pub struct Rerun {
    /// As whom.
    pub user: User,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it reads.
    pub records: Vec<Record>,
    /// Descriptors that it inherits, under the same numbers.
    pub keep: Vec<RawFd>,
}

/// What went wrong with the second process.
enum RerunError {
    Reading(io::Error),
    BadRecord(Failure),
    Writing(Failure),
}

impl From<io::Error> for RerunError {
    fn from(error: io::Error) -> Self {
        Self::Reading(error)
    }
}

impl Rerun {
    /// Run it to its end, and hand on what may cross. It is ended when it says what may not, and when a signal ends us, which
    /// is obeyed once `signals` is gone.
    ///
    /// # Errors
    /// 69 and 75 where it does not run, or not to its end; 65 where it says what cannot be; and as [`Io::write`].
    pub fn run(
        self,
        filter: &mut RecordFilter<'_>,
        signals: &StopSignals,
        io: &mut Io,
    ) -> Result<(), Failure> {
        let (by, what) = (filter.by, format!("cannot run {} as {}", filter.by, self.user.name));
        let mut child = self.start().map_err(|error| Failure::io(Code::Unmet, what.clone(), &error))?;
        let heard = listen(&mut child, Limits::USUAL, signals, &mut |heard| match heard {
            ChildOutput::Note(text) => {
                note(by, text);
                Ok(())
            }
            ChildOutput::Line(line) => match filter.admit(line).map_err(RerunError::BadRecord)? {
                Some(record) => io.write(record).map_err(RerunError::Writing),
                None => Ok(()),
            },
        });
        if heard.is_err() {
            end(&mut child);
        }
        match heard {
            Ok(_) if filter.is_complete() => Ok(()),
            Ok(status) => {
                let what = format!("{by} as another user said nothing");
                let mut failure = Failure::new(Code::Unmet, what, status.to_string());
                failure.exit = Some(status.to_string());
                Err(failure)
            }
            Err(RerunError::BadRecord(failure) | RerunError::Writing(failure)) => Err(failure),
            Err(RerunError::Reading(error)) => Err(match error.kind() {
                io::ErrorKind::InvalidData => Failure::io(Code::Input, what, &error),
                io::ErrorKind::TimedOut => Failure::io(Code::Later, what, &error)
                    .hint("look what its user's processes wait for, and run again"),
                io::ErrorKind::Interrupted => {
                    Failure::io(Code::Later, what, &error).hint("it was ended; run again")
                }
                _ => Failure::io(Code::Unmet, what, &error),
            }),
        }
    }

    fn start(self) -> io::Result<Child> {
        // By its descriptor in /proc: the user may not be able to walk to where we are.
        let mut command = Command::new("/proc/self/exe");
        command.args(self.args);
        // A program that is several tools looks at its name; the link says none once the file is replaced.
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        for (name, _) in std::env::vars_os() {
            // Settings and secrets of all engines: what this one needs is in the records.
            if name.as_encoded_bytes().starts_with(b"AUTO_INFER_") {
                command.env_remove(name);
            }
        }
        if std::env::var_os(variables::INFER_DEV_LOG).is_none() {
            command.env(variables::INFER_DEV_LOG, log::max_level().as_str());
        }
        let input = records(&self.records)?;
        // A session of its own has no terminal, into which the user could type for us.
        // It ends what it runs when it is told to end.
        let (leader, death_signal) = (Leader::Session, Some(Signal::TERM));
        Start { user: Some(self.user), death_signal, keep: self.keep, leader }.apply(&mut command);
        command.current_dir("/").stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }
}

/// The records as a file without a name: a pipe could fill up before anybody reads it.
fn records(records: &[Record]) -> io::Result<std::fs::File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = std::fs::File::from(memfd_create("records", flags)?);
    let mut writer = Writer::new(&mut file);
    records.iter().try_for_each(|record| writer.write(record))?;
    file.rewind()?;
    fcntl_add_seals(&file, SealFlags::WRITE)?;
    Ok(file)
}

/// Whether this process is such a second one: its input is sealed, as no other file is. Who started it speaks for it.
#[must_use]
pub fn is_rerun() -> bool {
    fcntl_get_seals(io::stdin()).is_ok_and(|seals| seals.contains(SealFlags::WRITE))
}

/// A line of its standard error, said by us: whatever it is, it begins with our name.
fn note(by: &str, text: &[u8]) {
    let text = clean(&String::from_utf8_lossy(text), TEXT_BYTES);
    let text = text.strip_prefix(by).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
    if !text.is_empty() {
        tool::note(by, text);
    }
}

/// Told to end, it ends the programs that it runs. A stopped process hears that only once it goes on.
fn end(child: &mut Child) {
    if let Some(process) = ProcessHandle::open(child.id()) {
        for signal in [Signal::TERM, Signal::CONT] {
            process.signal(signal).ok();
        }
        // One that has not gone by then is killed below.
        let _ = tree::wait_for_exit(&[process], GRACE);
    }
    if let Err(error) = child.kill() {
        log::warn!("cannot end process {}: {}", child.id(), failure::io_text(&error));
    }
    let until = Instant::now() + DEATH;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
        std::thread::sleep(PAUSE);
    }
}
