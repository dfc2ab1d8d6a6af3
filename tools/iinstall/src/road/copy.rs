//! A copy of the source, named by its hash: there as a whole, or not at all.
use crate::source::OpenSource;
use rustix::fs::{FlockOperation, OFlags, copy_file_range, flock, ioctl_ficlone};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Neither through a link nor into a pipe.
const NEVER_ELSEWHERE: i32 = (OFlags::NOFOLLOW.bits() | OFlags::NONBLOCK.bits()).cast_signed();

/// Keep a copy of `source` as `copy`. One of that name and size is taken to be it: only whole copies get the name.
pub(crate) fn keep(source: &OpenSource, copy: &Path) -> io::Result<()> {
    let size = source.fingerprint.size_bytes;
    if copy.metadata().is_ok_and(|stat| stat.is_file() && stat.size() == size) {
        return Ok(());
    }
    let folder = copy.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)?;
    let name = copy.file_name().unwrap_or_default().to_string_lossy();
    // One name for all that work on it, and a lock: what a killed run left is written over, what another writes is not.
    let draft = folder.join(format!(".{name}.part"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o644).custom_flags(NEVER_ELSEWHERE);
    let file = options.open(&draft)?;
    let stat = file.metadata()?;
    let others = flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
    if others || draft.symlink_metadata().map(|stat| stat.ino()).ok() != Some(stat.ino()) {
        return Ok(());
    }
    // A second name of a file that is elsewhere is not written over.
    if !stat.is_file() || stat.nlink() != 1 || stat.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{} is somebody else's", draft.display())));
    }
    file.set_len(0)?;
    let whole = fill(&source.file, &file, size).and_then(|()| {
        if source.unchanged().is_err() {
            return Err(io::Error::other("the archive was written to while it was copied"));
        }
        file.sync_all()?;
        std::fs::rename(&draft, copy)
    });
    if whole.is_err() {
        drop(std::fs::remove_file(&draft));
    }
    whole
}

/// Share the blocks where the disk can, else let the kernel copy, else copy.
fn fill(from: &File, to: &File, size: u64) -> io::Result<()> {
    if ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let mut at = 0;
    while at < size {
        let (mut read, mut write) = (at, at);
        let step = usize::try_from(size - at).unwrap_or(usize::MAX).min(1 << 30);
        match copy_file_range(from, Some(&mut read), to, Some(&mut write), step) {
            Ok(0) | Err(_) => return copy_by_hand(from, to, at),
            Ok(copied) => at += copied as u64,
        }
    }
    Ok(())
}

fn copy_by_hand(from: &File, to: &File, mut at: u64) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = from.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all_at(&buffer[..read], at)?;
        at += read as u64;
    }
}
