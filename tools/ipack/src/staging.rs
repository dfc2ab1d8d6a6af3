//! Where a bundle is made: a folder beside it, from which it is renamed when it is complete.
use bundle::Manifest;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, getpid, set_child_subreaper};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tool::{Code, Failure};
use tree::{Process, ProcessHandle};

/// How often we look whether a program that was killed has left another, and how long we wait for each to end.
const ROUNDS: usize = 20;
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// The folder, locked until this is dropped and then gone.
pub(crate) struct Staging {
    dir: PathBuf,
    output: PathBuf,
    /// Held while the results are renamed, and from a signal on: it finds both in place or none, and nobody else ends us.
    changing: Arc<Mutex<()>>,
    others: OtherProcesses,
    _lock: File,
}

impl Staging {
    /// The folder for the bundle at `output`, empty. What a killed run left in it goes.
    pub(crate) fn open(output: &Path) -> Result<Self, Failure> {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let dir = output.with_file_name(format!(".ipack-{name}"));
        let cannot = |error: &io::Error| {
            let failure = Failure::io(Code::Unmet, format!("cannot make {}", dir.display()), error);
            match error.kind() {
                io::ErrorKind::NotFound => failure.hint("make the folder that --output names"),
                _ => failure,
            }
        };
        let lock = loop {
            match std::fs::DirBuilder::new().mode(0o755).create(&dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(cannot(&error)),
                _ => {}
            }
            let lock = File::open(&dir).map_err(|error| cannot(&error))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                let what = format!("cannot make {}", output.display());
                return Err(Failure::new(Code::Later, what, "another ipack is making it"));
            }
            let ours = lock.metadata().map_err(|error| cannot(&error))?;
            // In a folder of somebody else's a link could be put in the place of anything.
            if ours.uid() != rustix::process::geteuid().as_raw() || ours.mode() & 0o022 != 0 {
                let what = format!("cannot make {}", dir.display());
                return Err(Failure::new(Code::Unmet, what, "it is there, and others may write in it")
                    .hint("remove it, or make the bundle in a folder that nobody else may write"));
            }
            // Whoever held the lock before us has removed its folder.
            if std::fs::symlink_metadata(&dir).is_ok_and(|now| ours.ino() == now.ino()) {
                break lock;
            }
        };
        let (output, changing) = (output.to_owned(), Arc::default());
        let staging =
            Self { dir: dir.clone(), output, changing, others: OtherProcesses::here(), _lock: lock };
        staging.empty().map_err(|error| cannot(&error))?;
        staging.remove_on_signal().map_err(|error| tool::thread::no_signals(&error))?;
        Ok(staging)
    }

    /// A folder in it, made.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.dir.join(name);
        std::fs::create_dir(&path)
            .map_err(|error| Failure::io(Code::Unmet, format!("cannot make {}", path.display()), &error))?;
        Ok(path)
    }

    /// For temporary files of the programs that run, on the disk of the bundle.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Put the bundle and its manifest in place, and say where the manifest is. A crash leaves the old pair, the old bundle
    /// or the new one without a manifest, or the new pair; never one with the manifest of the other.
    pub(crate) fn publish(&self, staged: &Path, manifest: &Manifest) -> Result<PathBuf, Failure> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let cannot = |path: &Path| {
            let what = format!("cannot write {}", path.display());
            move |error: io::Error| Failure::io(Code::Unmet, what, &error)
        };
        let (from, to) = (Manifest::path_for(staged), Manifest::path_for(&self.output));
        File::open(staged).and_then(|file| file.sync_all()).map_err(cannot(staged))?;
        manifest.write(&from).map_err(cannot(&from))?;
        match std::fs::remove_file(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(&to)(error)),
            _ => {}
        }
        self.sync().map_err(cannot(&to))?;
        std::fs::rename(staged, &self.output).map_err(cannot(&self.output))?;
        self.sync().map_err(cannot(&self.output))?;
        std::fs::rename(&from, &to).map_err(cannot(&to))?;
        self.sync().map_err(cannot(&to))?;
        Ok(to)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(self.output.parent().unwrap_or(Path::new("/")))?.sync_all()
    }

    /// The programs of a killed run die with it, but not in the same moment, and may put something back meanwhile.
    fn empty(&self) -> io::Result<()> {
        let mut tries = 0;
        while let Err(error) = clear(&self.dir) {
            if error.kind() != io::ErrorKind::DirectoryNotEmpty || tries == ROUNDS {
                return Err(error);
            }
            tries += 1;
            std::thread::sleep(PAUSE);
        }
        std::fs::create_dir(self.tmp())
    }

    /// Ctrl-C leaves nothing: neither files nor programs.
    fn remove_on_signal(&self) -> io::Result<()> {
        set_child_subreaper(Some(getpid()))?;
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
        let (dir, changing, others) = (self.dir.clone(), Arc::clone(&self.changing), self.others.clone());
        let wait = move || {
            for signal in signals.forever() {
                // Not given back: the process ends here.
                let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
                drop(remove(&dir, &others));
                drop(signal_hook::low_level::emulate_default_handler(signal));
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = remove(&self.dir, &self.others) {
            log::warn!("cannot remove {}: {}", self.dir.display(), tool::io_text(&error));
        }
    }
}

/// Remove all that is in the folder.
fn clear(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => std::fs::remove_dir_all(entry.path())?,
            false => std::fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Remove the folder, once nobody writes in it any more.
fn remove(dir: &Path, others: &OtherProcesses) -> io::Result<()> {
    end_programs(others);
    std::fs::remove_dir_all(dir)
}

/// End all that was started and still runs, a server of the project's task say. We are who orphans come to.
fn end_programs(others: &OtherProcesses) {
    for _ in 0..ROUNDS {
        let left: Vec<_> = others.new_processes().into_iter().filter_map(ProcessHandle::of).collect();
        if left.is_empty() {
            break;
        }
        for program in &left {
            drop(program.signal(Signal::KILL));
        }
        let _all = tree::wait_for_exit(&left, CLEANUP_TIMEOUT);
    }
}

/// The children that we began with, a shell's that became us: what hears us through its `2> >(tee log)`, say. They and
/// theirs are not ours to end.
#[derive(Clone, Debug)]
struct OtherProcesses(Arc<[Process]>);

impl OtherProcesses {
    fn here() -> Self {
        Self(tree::descendants(std::process::id()).into())
    }

    /// All who descend from us and not from them.
    fn new_processes(&self) -> Vec<Process> {
        let is_one = |process: &Process| {
            self.0.iter().any(|other| (other.pid, other.started) == (process.pid, process.started))
        };
        let mut theirs = HashSet::new();
        let mut found = tree::descendants(std::process::id());
        // Parents come before their children.
        found.retain(|process| {
            let other = is_one(process) || theirs.contains(&process.parent);
            !(other && theirs.insert(process.pid))
        });
        found
    }
}
