//! Installing for another user: what takes root is done here, the rest by ourselves again, as that user.
//!
//! The second process reads the engine's records on its stdin and writes its records to us; the source, which the user may
//! not be able to open, is handed down open.
use crate::source;
use crate::{Args, Wanted, way};
use child::{Start, User};
use record::{Env, Reader, Record, Writer};
use rustix::process::Signal;
use std::io::{self, BufReader, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use tool::{Code, Failure, Io, vars};

/// Do it all as `user`.
pub(crate) fn act(args: &Args, wanted: &Wanted<'_>, user: User, io: &mut Io) -> Result<(), Failure> {
    let env = wanted.env;
    let prepared = prepare(args, env, &user);
    let ended = prepared.and_then(|source| {
        let mut child = start(args, wanted, user, source.as_ref())?;
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
    ended.or_else(|failure| io.fail(env.engine, failure))
}

/// What only root can: open the source, and make the folders that are missing.
fn prepare(args: &Args, env: &Env, user: &User) -> Result<Option<OwnedFd>, Failure> {
    let Some(way) = way(args, env) else { return Ok(None) };
    let source = way.file().map(source::open).transpose()?;
    for folder in env.home().into_iter().chain(&env.archive_cache_dir) {
        user.make_folder(folder)
            .map_err(|error| Failure::io(Code::Unmet, format!("cannot make {}", folder.display()), &error))?;
    }
    Ok(source)
}

fn start(args: &Args, wanted: &Wanted<'_>, user: User, source: Option<&OwnedFd>) -> Result<Child, Failure> {
    let what = format!("cannot run iinstall as {}", user.name);
    // By its descriptor in /proc: the user may not be able to walk to where we are.
    let mut command = Command::new("/proc/self/exe");
    command.args(args.handed_down(source.map(AsRawFd::as_raw_fd)));
    if std::env::var_os(vars::INFER_DEV_LOG).is_none() {
        command.env(vars::INFER_DEV_LOG, log::max_level().as_str());
    }
    let keep = source.iter().map(|fd| fd.as_raw_fd()).collect();
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
