//! Installing for another user: what takes root is done here, the rest by ourselves again, as that user.
//!
//! The second process reads the engine's records on its stdin and writes its records to us; the source and what vouches
//! for it, which the user may not be able to open, are handed down open.
use crate::handed::Handed;
use crate::home::{missing, unmake};
use crate::{Args, Wanted, way};
use child::{Start, User};
use record::{Env, Reader, Record, Writer};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat};
use rustix::io::Errno;
use rustix::process::Signal;
use std::io::{self, BufReader, Seek};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tool::{Code, Failure, Io, vars};

/// How often a folder that others take away is made again.
const ATTEMPTS: u32 = 1000;

/// Do it all as `user`.
pub(crate) fn act(args: &Args, wanted: &Wanted<'_>, user: User, io: &mut Io) -> Result<(), Failure> {
    let env = wanted.env;
    let mut made = Made::default();
    let ended = prepare(args, env, &user, &mut made).and_then(|handed| {
        let mut child = start(args, wanted, user, &handed)?;
        let spoke = relay(&mut child, io);
        let status =
            child.wait().map_err(|error| Failure::io(Code::Unmet, "cannot wait for a process", &error))?;
        match spoke? {
            true => Ok(()),
            false => {
                let mut failure =
                    Failure::new(Code::Unmet, "iinstall as another user said nothing", status.to_string());
                failure.exit = Some(status.to_string());
                Err(failure)
            }
        }
    });
    made.settle();
    ended.or_else(|failure| io.fail(env.engine, failure))
}

/// What only root can: open the source and what vouches for it, and make the folders that are missing, each of which
/// `made` is told.
fn prepare(args: &Args, env: &Env, user: &User, made: &mut Made) -> Result<Handed, Failure> {
    let Some(way) = way(args, env) else { return Ok(Handed::default()) };
    let handed = Handed::open(&way, env)?;
    for folder in env.home().into_iter().chain(&env.archive_cache_dir) {
        made.make(user, folder)
            .map_err(|error| Failure::io(Code::Unmet, format!("cannot make {}", folder.display()), &error))?;
    }
    Ok(handed)
}

/// Folders that were made for the user, the innermost first. Those that came to nothing go again, unless somebody else
/// counts on them: whoever does holds a shared flock(2) on them.
#[derive(Default)]
struct Made {
    folders: Vec<PathBuf>,
    held: Vec<OwnedFd>,
}

impl Made {
    fn make(&mut self, user: &User, folder: &Path) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let new = missing(folder);
            match user.make_folder(folder) {
                // One on the way was taken away again just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            // What cannot be opened is the user's to complain of, and what cannot be locked is not taken away.
            let Ok(open) = rustix::fs::open(folder, flags, Mode::empty()) else { continue };
            match flock(&open, FlockOperation::NonBlockingLockShared) {
                Err(Errno::WOULDBLOCK) => continue,
                Err(_) => return Ok(()),
                Ok(()) if fstat(&open)?.st_nlink == 0 => continue,
                Ok(()) => {}
            }
            self.folders.splice(..0, new);
            self.held.push(open);
            return Ok(());
        }
        Ok(())
    }

    fn settle(self) {
        let alone = |folder: &OwnedFd| flock(folder, FlockOperation::NonBlockingLockExclusive).is_ok();
        if self.held.iter().all(alone) {
            unmake(&self.folders);
        }
    }
}

fn start(args: &Args, wanted: &Wanted<'_>, user: User, handed: &Handed) -> Result<Child, Failure> {
    let what = format!("cannot run iinstall as {}", user.name);
    // By its descriptor in /proc: the user may not be able to walk to where we are.
    let mut command = Command::new("/proc/self/exe");
    command.args(args.handed_down(handed));
    if std::env::var_os(vars::INFER_DEV_LOG).is_none() {
        command.env(vars::INFER_DEV_LOG, log::max_level().as_str());
    }
    let keep = handed.descriptors();
    Start { user: Some(user), death_signal: Some(Signal::KILL), keep, ..Start::default() }
        .apply(&mut command);
    let input = records(wanted).map_err(|error| Failure::io(Code::Unmet, what.clone(), &error))?;
    let started = command.current_dir("/").stdin(input).stdout(Stdio::piped()).spawn();
    started.map_err(|error| Failure::io(Code::Unmet, what, &error))
}

/// The records as a file without a name: a pipe could fill up before anybody reads it.
fn records(wanted: &Wanted<'_>) -> io::Result<std::fs::File> {
    let mut file = std::fs::File::from(rustix::fs::memfd_create("records", rustix::fs::MemfdFlags::CLOEXEC)?);
    let mut writer = Writer::new(&mut file);
    writer.write(&Record::from(wanted.env.clone()))?;
    if let Some(verified) = wanted.verified {
        writer.write(&Record::from(verified.clone()))?;
    }
    file.rewind()?;
    Ok(file)
}

/// Hand on what it writes, less the records that it was given. What it had to say on stderr is said.
fn relay(child: &mut Child, io: &mut Io) -> Result<bool, Failure> {
    let mut spoke = false;
    let Some(output) = child.stdout.take() else { return Ok(false) };
    let mut reader = Reader::new(BufReader::new(output));
    while let Some(line) = reader.read()? {
        match line.record {
            None | Some(Record::Env(_) | Record::Cache(_)) => {}
            Some(record) => {
                spoke |= !matches!(record, Record::Warning(_));
                io.write(record)?;
            }
        }
    }
    Ok(spoke)
}
