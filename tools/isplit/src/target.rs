//! The folder that the parts go to. They are written into a folder inside it and renamed when all are complete.
use crate::parity_limit;
use part::{DESCRIPTION_BYTES, Parity, Part, WholeFile};
use rustix::fs::{FlockOperation, OFlags, flock, statfs, statvfs};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tool::{Code, Failure};

const NO_LINK: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// The folder, locked until this is dropped; what was not published is then gone.
pub(crate) struct Target {
    dir: PathBuf,
    name: String,
    staging: Arc<Staging>,
    _lock: File,
}

struct Staging {
    path: PathBuf,
    /// The folder itself was made by this run.
    made: Option<PathBuf>,
    /// Held while a part is made and while all are renamed: a signal finds all of them renamed or none, and nothing is
    /// made where it has cleaned up.
    changing: Mutex<()>,
}

impl Staging {
    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self) {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // The next run removes it.
                log::warn!("{} is left: {}", self.path.display(), tool::io_text(&error));
            }
            _ => {}
        }
        if let Some(dir) = &self.made {
            // Only an empty folder goes.
            drop(std::fs::remove_dir(dir));
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.staging.remove();
    }
}

impl Target {
    pub(crate) fn open(dir: &Path, name: &str) -> Result<Self, Failure> {
        let cannot =
            |error: &io::Error| Failure::io(Code::Unmet, format!("cannot write {}", dir.display()), error);
        let made = match std::fs::create_dir(dir) {
            Ok(()) => Some(dir.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(error) => return Err(cannot(&error)),
        };
        let lock = File::open(dir).map_err(|error| cannot(&error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => {
                let what = format!("cannot lock {}", dir.display());
                Failure::new(Code::Later, what, "another isplit is writing there")
            }
            other => Failure::io(Code::Unmet, format!("cannot lock {}", dir.display()), &other.into()),
        })?;
        let path = dir.join(".isplit");
        // Nobody holds the lock, so this is of a run that was killed.
        drop(std::fs::remove_dir_all(&path));
        let staging = Arc::new(Staging { path, made, changing: Mutex::new(()) });
        let target = Self { dir: dir.to_owned(), name: name.to_owned(), staging, _lock: lock };
        remove_on_signal(&target.staging).map_err(|error| tool::thread::no_signals(&error))?;
        let changing = target.staging.change();
        std::fs::create_dir(&target.staging.path).map_err(|error| cannot(&error))?;
        drop(changing);
        Ok(target)
    }

    /// Refuse before anything is read what cannot end well.
    pub(crate) fn admit(
        &self,
        size_bytes: Option<u64>,
        split_bytes: u64,
        parity: u64,
    ) -> Result<(), Failure> {
        let others = self.others(|there| {
            there.split_bytes != split_bytes || size_bytes.is_some_and(|size| size != there.size_bytes)
        })?;
        self.refuse(others)?;
        self.must_hold_files_of(size_bytes.map_or(split_bytes, |size| size.min(split_bytes)))?;
        let Some(size) = size_bytes else { return Ok(()) };
        let there = statvfs(&self.dir).map_err(|error| {
            Failure::io(Code::Unmet, format!("cannot look at {}", self.dir.display()), &error.into())
        })?;
        let whole =
            WholeFile { name: self.name.clone(), size_bytes: size, sha256: String::new(), split_bytes };
        let mut needed = size.saturating_add(whole.count().saturating_mul(DESCRIPTION_BYTES as u64));
        if parity > 0 {
            parity_limit::admit(&whole, parity)?;
            let each = Parity::data_offset(&whole).saturating_add(Parity::shard_bytes(&whole));
            needed = needed.saturating_add(each.saturating_mul(parity));
        }
        let free = there.f_bavail.saturating_mul(there.f_frsize);
        if needed > free {
            let what = format!("cannot write {} parts to {}", whole.count(), self.dir.display());
            return Err(Failure::new(
                Code::Unmet,
                what,
                format!("{needed} bytes are needed, {free} are free"),
            ));
        }
        Ok(())
    }

    /// FAT says no only when a file has grown to its limit.
    fn must_hold_files_of(&self, bytes: u64) -> Result<(), Failure> {
        let kind = statfs(&self.dir).ok().map(|there| u64::from_ne_bytes(there.f_type.to_ne_bytes()));
        if !kind.is_some_and(|kind| is_too_large(bytes.saturating_add(DESCRIPTION_BYTES as u64), kind)) {
            return Ok(());
        }
        let what = format!("cannot write parts of {} to {}", self.name, self.dir.display());
        let cause = "it is FAT, whose files are smaller than 4 GiB";
        Err(Failure::new(Code::Unmet, what, cause).hint("lower --size; its default fits"))
    }

    /// A new part, not yet there for others.
    pub(crate) fn create(&self, index: u64) -> Result<File, Failure> {
        let _changing = self.staging.change();
        File::create_new(self.draft(index)).map_err(|error| self.cannot_write(index, &error))
    }

    /// A part that was written, to be read again.
    pub(crate) fn reopen(&self, index: u64) -> Result<File, Failure> {
        let opened = File::options().read(true).custom_flags(NO_LINK).open(self.draft(index));
        opened.map_err(|error| self.cannot_read(index, &error))
    }

    pub(crate) fn cannot_read(&self, index: u64, error: &io::Error) -> Failure {
        let what = format!("cannot read part {index} of {} again in {}", self.name, self.dir.display());
        Failure::io(Code::Unmet, what, error)
    }

    /// A new parity part, not yet there for others.
    pub(crate) fn create_parity(&self, index: u64) -> Result<File, Failure> {
        let _changing = self.staging.change();
        File::create_new(self.parity_draft(index)).map_err(|error| self.cannot_write_parity(index, &error))
    }

    pub(crate) fn cannot_write_parity(&self, index: u64, error: &io::Error) -> Failure {
        self.cannot_write_file(&format!("parity part {index}"), error)
    }

    pub(crate) fn cannot_write(&self, index: u64, error: &io::Error) -> Failure {
        self.cannot_write_file(&format!("part {index}"), error)
    }

    fn cannot_write_file(&self, which: &str, error: &io::Error) -> Failure {
        let what = format!("cannot write {which} of {} to {}", self.name, self.dir.display());
        let failure = Failure::io(Code::Unmet, what, error);
        match error.kind() {
            io::ErrorKind::FileTooLarge => {
                failure.hint("this file system, or ulimit -f, takes smaller files only: lower --size")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                failure.hint("nothing was left there; make room, or use another DIR")
            }
            _ => failure,
        }
    }

    /// Describe every part and every parity part, and give it its name.
    pub(crate) fn publish(
        &self,
        whole: &WholeFile,
        parts: &[Part],
        parities: &[Parity],
    ) -> Result<(), Failure> {
        let others = self.others(|there| there != whole)?;
        self.refuse(others)?;
        let of_part = |part: &Part| (self.draft(part.index), whole.part_name(part.index), part.block());
        let of_parity =
            |parity: &Parity| (self.parity_draft(parity.index), parity.file_name(), parity.block());
        let files: Vec<(PathBuf, String, Option<Vec<u8>>)> =
            parts.iter().map(of_part).chain(parities.iter().map(of_parity)).collect();
        for (draft, name, block) in &files {
            self.describe(draft, name, block.as_deref())?;
        }
        let _changing = self.staging.change();
        let mut new = Vec::new();
        for (draft, name, _) in &files {
            let path = self.dir.join(name);
            let was_there = path.symlink_metadata().is_ok();
            if let Err(error) = std::fs::rename(draft, &path) {
                // A part that was there before is the same part, and stays.
                new.iter().for_each(|path: &PathBuf| drop(std::fs::remove_file(path)));
                return Err(Failure::io(Code::Unmet, format!("cannot write {}", path.display()), &error));
            }
            new.extend((!was_there).then_some(path));
        }
        // Not every file system syncs folders.
        drop(File::open(&self.dir).and_then(|dir| dir.sync_all()));
        Ok(())
    }

    /// Write the block that begins a file.
    fn describe(&self, draft: &Path, name: &str, block: Option<&[u8]>) -> Result<(), Failure> {
        let block = block.ok_or_else(|| {
            Failure::new(Code::Usage, format!("cannot name the parts {}", self.name), "File name too long")
        })?;
        // Never through a link that somebody has put in its place.
        let file = File::options().write(true).custom_flags(NO_LINK).open(draft);
        let written = file.and_then(|file| file.write_all_at(block, 0).and_then(|()| file.sync_all()));
        written.map_err(|error| self.cannot_write_file(name, &error))
    }

    fn parity_draft(&self, index: u64) -> PathBuf {
        self.staging.path.join(format!("parity-{index}"))
    }

    fn draft(&self, index: u64) -> PathBuf {
        self.staging.path.join(index.to_string())
    }

    /// The first file that has the name of one of our parts and is none of this whole.
    fn others(&self, differs: impl Fn(&WholeFile) -> bool) -> Result<Option<PathBuf>, Failure> {
        let cannot = |error: io::Error| {
            Failure::io(Code::Unmet, format!("cannot read {}", self.dir.display()), &error)
        };
        for entry in std::fs::read_dir(&self.dir).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // A pipe in its place is not waited for.
            let open = || owner::open_file(&path).ok();
            let there = if part::parse_part_name(&name, &self.name).is_some() {
                open().and_then(|mut file| Part::read(&mut file).ok()).map(|part| part.whole)
            } else if name.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with(".parity-")) {
                open().and_then(|mut file| Parity::read(&mut file).ok()).map(|parity| parity.whole)
            } else {
                continue;
            };
            if there.is_none_or(|there| differs(&there)) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn refuse(&self, other: Option<PathBuf>) -> Result<(), Failure> {
        let Some(path) = other else { return Ok(()) };
        let what = format!("cannot write parts of {} to {}", self.name, self.dir.display());
        let cause = format!("{} is not a part of the same file split the same way", path.display());
        let hint = "remove the parts that are there, or use another DIR or --name";
        Err(Failure::new(Code::Unmet, what, cause).hint(hint))
    }
}

/// Whether a file system of this kind, as statfs(2) numbers it, has no room for one file of so many bytes.
fn is_too_large(file_bytes: u64, kind: u64) -> bool {
    const FAT: u64 = 0x4d44;
    kind == FAT && file_bytes > u64::from(u32::MAX)
}

/// Ctrl-C leaves nothing on the medium. Who is killed harder leaves a folder that the next run removes.
fn remove_on_signal(staging: &Arc<Staging>) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let staging = Arc::clone(staging);
    let wait = move || {
        for signal in signals.forever() {
            // Not given back: the process ends here.
            let _changing = staging.change();
            staging.remove();
            drop(signal_hook::low_level::emulate_default_handler(signal));
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

#[cfg(test)]
mod tests {
    use super::is_too_large;

    #[test]
    fn on_fat_a_file_is_smaller_than_4_gib() {
        assert!(is_too_large(4 << 30, 0x4d44) && !is_too_large((4 << 30) - 1, 0x4d44));
        assert!(!is_too_large(4 << 30, 0xef53));
    }
}
