//! The contents of the files, hashed by a bounded pool of threads.
use super::tree::{Item, Kind, Tree};
use super::walk::open_folder;
use crate::pool::Pool;
use crate::program::Program;
use rustix::fs::{Advice, CWD, Mode, OFlags, fadvise, openat};
use rustix::io::{Errno, read};
use sha2::{Digest, Sha256};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What one read of a file asks for.
const BUFFER_BYTES: usize = 256 << 10;

/// Files of this size are shared out one by one, others in groups.
const LARGE_BYTES: u64 = 4 << 20;

/// How many files of one package are a group.
const GROUP_FILES: usize = 256;

/// Files of one package for one thread.
struct Work<'a> {
    root: &'a Path,
    items: Vec<&'a mut Item>,
    bytes: u64,
}

/// Hash every file of the trees whose hash is not known, the largest first so that no thread is left with one alone at the
/// end. `progress` gets the number of bytes of each file.
///
/// # Errors
/// As [`Pool::each`].
pub(super) fn read_all(
    trees: Vec<&mut Tree>,
    pool: Pool<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> io::Result<()> {
    let mut work = Vec::new();
    for tree in trees {
        let mut small = Vec::new();
        for item in &mut tree.items {
            match &item.kind {
                Kind::File { stat, sha256: None, .. } if stat.size >= LARGE_BYTES => {
                    work.push(Work { root: &tree.root, bytes: stat.size, items: vec![item] });
                }
                Kind::File { sha256: None, .. } => small.push(item),
                _ => {}
            }
        }
        while !small.is_empty() {
            let items = small.split_off(small.len().saturating_sub(GROUP_FILES));
            work.push(Work { root: &tree.root, bytes: items.iter().map(|item| size(item)).sum(), items });
        }
    }
    work.sort_by_key(|work| std::cmp::Reverse(work.bytes));
    pool.each(&mut work, || vec![0; BUFFER_BYTES], |buffer, work| work.run(buffer, progress))
}

fn size(item: &Item) -> u64 {
    if let Kind::File { stat, .. } = &item.kind { stat.size } else { 0 }
}

impl Work<'_> {
    fn run(&mut self, buffer: &mut [u8], progress: &(dyn Fn(u64) + Sync)) {
        let root = open_folder(CWD, self.root, OFlags::empty());
        for item in &mut self.items {
            let size = size(item);
            let hashed = match &root {
                Ok(root) => hash_file(root, &item.path, size, buffer),
                Err(error) => Err(unreadable(*error)),
            };
            match (hashed, &mut item.kind) {
                (Ok((hash, is)), Kind::File { sha256, program, .. }) => {
                    (*sha256, *program) = (Some(hash), is);
                }
                (Ok(_), _) => {}
                (Err(cause), kind) => *kind = Kind::Unreadable(cause),
            }
            progress(size);
        }
    }
}

fn unreadable(error: Errno) -> String {
    tool::io_text(&io::Error::from(error))
}

/// Hash so many bytes of a file, and see whether it is a program; one that goes on is being written, maybe without end.
fn hash_file(
    root: &OwnedFd,
    path: &Path,
    size: u64,
    buffer: &mut [u8],
) -> Result<([u8; 32], Option<Program>), String> {
    // Something else may be in the place of the file by now, and is not waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(root, path, flags, Mode::empty()).map_err(unreadable)?;
    if let Some(large) = NonZeroU64::new(size).filter(|_| size >= LARGE_BYTES) {
        // Only advice: what does not take it is read all the same.
        fadvise(&file, 0, Some(large), Advice::Sequential).ok();
    }
    let mut hash = Sha256::new();
    let (mut left, mut program) = (size, None);
    loop {
        match read(&file, &mut *buffer) {
            Ok(0) => return Ok((hash.finalize().into(), program)),
            Ok(length) => {
                let Some(rest) = left.checked_sub(length as u64) else {
                    return Err("it grew while it was read".to_owned());
                };
                if left == size {
                    program = Program::of(&buffer[..length]);
                }
                hash.update(&buffer[..length]);
                left = rest;
                // It has the size that was seen, and gave less than was asked for: nothing follows.
                if left == 0 && length < buffer.len() {
                    return Ok((hash.finalize().into(), program));
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}
