//! The file that `--into` makes: written beside its place, kept when a run fails, and renamed when it is right.
use crate::digester::start_digester;
use crate::set::Set;
use part::{Chunks, Digester, WholeFile};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, fstatvfs, renameat_with};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// `FILE.ijoin-part`, locked.
pub(crate) struct Staging {
    path: PathBuf,
    into: PathBuf,
    file: File,
    whole: WholeFile,
}

/// How it begins.
pub(crate) enum StagingState {
    /// The file is there and is the whole.
    AlreadyComplete,
    Staging(Staging),
}

impl Staging {
    pub(crate) fn begin(into: &Path, whole: &WholeFile) -> Result<StagingState, Failure> {
        if into.symlink_metadata().is_ok() {
            return if is_complete(into, whole)? {
                Ok(StagingState::AlreadyComplete)
            } else {
                Err(target_exists(into, whole))
            };
        }
        let mut name = into.as_os_str().to_owned();
        name.push(".ijoin-part");
        let path = PathBuf::from(name);
        let cannot =
            |error: io::Error| Failure::io(Code::Unmet, format!("cannot write {}", path.display()), &error);
        let mut options = OpenOptions::new();
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        options.read(true).write(true).create(true).truncate(false).custom_flags(no_link);
        let file = options.open(&path).map_err(cannot)?;
        let busy = || {
            let what = format!("cannot lock {}", path.display());
            Failure::new(Code::Later, what, "another ijoin is writing it")
        };
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => busy(),
            other => cannot(other.into()),
        })?;
        // Who held the lock may have renamed it meanwhile.
        let looks = file.metadata().map_err(cannot)?;
        if path.metadata().map_err(cannot)?.ino() != looks.ino() {
            return Err(busy());
        }
        // Somebody else's would stay so, and a second name of a file that is elsewhere is not written over.
        let own = looks.uid() == rustix::process::geteuid().as_raw() && looks.nlink() == 1;
        if let Some(cause) = match looks.is_file() {
            false => Some("not a regular file"),
            true => (!own).then_some("it is somebody else's, or has another name"),
        } {
            return Err(Failure::new(Code::Unmet, format!("cannot write {}", path.display()), cause)
                .hint("remove it, or name another file"));
        }
        Ok(StagingState::Staging(Self { path, into: into.to_owned(), file, whole: whole.clone() }))
    }

    /// How many parts it holds already. They are hashed again, as far as the parts that are there know what they hash to;
    /// `digester` has then taken them in. What is not proved right, and can be written again, is cut off.
    pub(crate) fn resume(&self, set: &Set, digester: &Digester) -> Result<u64, Failure> {
        let whole = &self.whole;
        let length = self.file.metadata().map_err(|error| self.cannot("read", &error))?.len();
        let complete = if length >= whole.size_bytes { whole.count() } else { length / whole.split_bytes };
        let bar =
            tool::bytes_bar(&format!("checking {}", self.path.display()), whole.offset_of(complete + 1));
        let (mut proved, mut wrong, mut chunks) = (0, false, Chunks::default());
        for index in 1..=complete {
            self.hash_existing(
                whole.offset_of(index + 1) - whole.offset_of(index),
                digester,
                (&mut chunks, &bar),
            )?;
            match set.sha256_after(index) {
                Some(right) if digester.digest() == right => {
                    digester.accept();
                    proved = index;
                }
                Some(_) => {
                    wrong = true;
                    break;
                }
                None => {}
            }
        }
        bar.finish_and_clear();
        // Without a part that knows, nothing is written on either: the part after these is not there.
        let held = if wrong { proved } else { complete };
        if wrong {
            digester.rewind();
            let (path, name) = (self.path.display(), &whole.name);
            if proved == 0 {
                log::warn!("{path} is not what {name} begins with: starting over");
            } else {
                log::warn!("{path} is right up to part {proved} and wrong after it: going on from there");
            }
        }
        self.admit(whole.size_bytes - whole.offset_of(held + 1))?;
        self.truncate_to(whole.offset_of(held + 1))?;
        Ok(held)
    }

    fn hash_existing(
        &self,
        mut left: u64,
        digester: &Digester,
        (chunks, bar): (&mut Chunks, &indicatif::ProgressBar),
    ) -> Result<(), Failure> {
        while left > 0 {
            let chunk = chunks.read(&mut &self.file, left).map_err(|error| self.cannot("read", &error))?;
            if chunk.bytes().is_empty() {
                let cause = "it became shorter while it was read";
                return Err(Failure::new(Code::Unmet, format!("cannot read {}", self.path.display()), cause));
            }
            digester.feed(&chunk);
            bar.inc(chunk.bytes().len() as u64);
            left -= chunk.bytes().len() as u64;
        }
        Ok(())
    }

    fn admit(&self, needed: u64) -> Result<(), Failure> {
        let there = fstatvfs(&self.file).map_err(|error| self.cannot("look at", &error.into()))?;
        let allocated = self.file.metadata().map_or(0, |looks| looks.len());
        let freed = allocated.saturating_sub(self.whole.size_bytes.saturating_sub(needed));
        let free = there.f_bavail.saturating_mul(there.f_frsize).saturating_add(freed);
        if needed > free {
            let what = format!("cannot write {}", self.path.display());
            self.keep();
            return Err(Failure::new(
                Code::Unmet,
                what,
                format!("{needed} bytes are needed, {free} are free"),
            ));
        }
        Ok(())
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        (&self.file).write_all(bytes).map_err(|error| self.cannot("write", &error))
    }

    /// Cut off what is after `offset`, and write on from there.
    pub(crate) fn truncate_to(&self, offset: u64) -> Result<(), Failure> {
        let back = self.file.set_len(offset).and_then(|()| (&self.file).seek(SeekFrom::Start(offset)));
        back.map(drop).map_err(|error| self.cannot("write", &error))
    }

    /// The run failed: how many parts are kept. Nothing is kept of nothing.
    pub(crate) fn keep(&self) -> u64 {
        match self.file.metadata().map_or(0, |looks| looks.len()) {
            0 => {
                drop(std::fs::remove_file(&self.path));
                0
            }
            length => length / self.whole.split_bytes,
        }
    }

    /// All is there and right.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| self.cannot("write", &error))?;
        renameat_with(CWD, &self.path, CWD, &self.into, RenameFlags::NOREPLACE)
            .or_else(|error| match error {
                // The file system cannot do both; that nothing is there was seen before.
                rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS => {
                    rustix::fs::rename(&self.path, &self.into)
                }
                other => Err(other),
            })
            .map_err(|error| {
                Failure::io(Code::Unmet, format!("cannot write {}", self.into.display()), &error.into())
            })?;
        let folder = self.into.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Not every file system syncs folders.
        drop(File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()));
        Ok(())
    }

    fn cannot(&self, verb: &str, error: &io::Error) -> Failure {
        let failure = Failure::io(Code::Unmet, format!("cannot {verb} {}", self.path.display()), error);
        let again = "run the same command again: it goes on where this one ended";
        match error.kind() {
            _ if verb != "write" => failure,
            io::ErrorKind::FileTooLarge => {
                let size = self.whole.size_bytes;
                failure.hint(format!(
                    "this file system, or ulimit -f, takes no file of {size} bytes; name one elsewhere"
                ))
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                failure.hint(format!("make room and {again}"))
            }
            _ => failure.hint(again),
        }
    }
}

/// Whether a file is the whole that is asked for.
fn is_complete(file: &Path, whole: &WholeFile) -> Result<bool, Failure> {
    let cannot =
        |error: io::Error| Failure::io(Code::Unmet, format!("cannot read {}", file.display()), &error);
    let looks = file.metadata().map_err(cannot)?;
    if !looks.is_file() || looks.len() != whole.size_bytes {
        return Ok(false);
    }
    let (mut open, digester, mut chunks) =
        (owner::open_file(file).map_err(cannot)?, start_digester()?, Chunks::default());
    let bar = tool::bytes_bar(&format!("checking {}", file.display()), looks.len());
    loop {
        let chunk = chunks.read(&mut open, u64::MAX).map_err(cannot)?;
        if chunk.bytes().is_empty() {
            break;
        }
        digester.feed(&chunk);
        bar.inc(chunk.bytes().len() as u64);
    }
    bar.finish_and_clear();
    Ok(digester.digest() == whole.sha256)
}

fn target_exists(file: &Path, whole: &WholeFile) -> Failure {
    let cause = format!("it exists and is not {}", whole.name);
    let what = format!("cannot write {}", file.display());
    Failure::new(Code::Unmet, what, cause).hint("remove it, or name another file")
}
