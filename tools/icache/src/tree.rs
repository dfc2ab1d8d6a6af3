//! The files of the packages, hashed by a bounded pool of threads.
use crate::pass::Pass;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one read of a file asks for.
const BUFFER_BYTES: usize = 256 << 10;

/// How a file looked: when none of it changed, the file did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ctime_ns: i64,
    pub(crate) inode: u64,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file; hashed once the pool has been at it.
    File { stat: Stat, sha256: Option<[u8; 32]> },
    /// A symbolic link and its target.
    Link(PathBuf),
    /// A folder.
    Folder,
    /// Something that cannot be read, and why.
    Unreadable(String),
}

/// One path of a package, relative to its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

/// Everything below a package's folder, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) items: Vec<Item>,
}

impl Tree {
    /// Find what is there, without following a link.
    pub(crate) fn walk(root: &Path) -> Self {
        let mut tree = Self { root: root.to_owned(), items: Vec::new() };
        tree.descend(Path::new(""));
        tree.items.sort_by(|a, b| a.path.cmp(&b.path));
        tree
    }

    fn descend(&mut self, folder: &Path) {
        let entries = match std::fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) => return self.put(folder, Kind::Unreadable(tool::io_text(&error))),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.put(folder, Kind::Unreadable(tool::io_text(&error))),
            };
            let path = folder.join(entry.file_name());
            let kind = entry.metadata().and_then(|metadata| kind_of(&entry.path(), &metadata));
            let kind = kind.unwrap_or_else(|error| Kind::Unreadable(tool::io_text(&error)));
            let below = kind == Kind::Folder;
            self.put(&path, kind);
            if below {
                self.descend(&path);
            }
        }
    }

    fn put(&mut self, path: &Path, kind: Kind) {
        self.items.push(Item { path: path.to_owned(), kind });
    }

    /// Number and size of the files.
    pub(crate) fn extent(&self) -> (u64, u64) {
        self.items.iter().fold((0, 0), |(files, bytes), item| match &item.kind {
            Kind::File { stat, .. } => (files + 1, bytes + stat.size),
            _ => (files, bytes),
        })
    }

    /// One hash over all paths, types, link targets and file contents. Times, owners and modes are not part of it: they
    /// change when a cache is copied.
    pub(crate) fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for item in &self.items {
            hash.update(item.path.as_os_str().as_bytes());
            match &item.kind {
                Kind::File { sha256, .. } => {
                    hash.update(b"\0file\0");
                    hash.update(sha256.unwrap_or_default());
                }
                Kind::Link(target) => {
                    hash.update(b"\0link\0");
                    hash.update(target.as_os_str().as_bytes());
                }
                Kind::Folder => hash.update(b"\0folder"),
                Kind::Unreadable(_) => hash.update(b"\0unreadable"),
            }
            hash.update(b"\0\n");
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn kind_of(path: &Path, metadata: &std::fs::Metadata) -> io::Result<Kind> {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    if metadata.is_dir() {
        return Ok(Kind::Folder);
    }
    if metadata.is_symlink() {
        return std::fs::read_link(path).map(Kind::Link);
    }
    if !metadata.is_file() {
        return Ok(Kind::Unreadable("it is neither file nor folder nor link".to_owned()));
    }
    let stat = Stat {
        size: metadata.len(),
        mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
    };
    Ok(Kind::File { stat, sha256: None })
}

/// Hash every file of the trees that `known` does not vouch for, the largest first so that no thread is left with one
/// alone at the end. `progress` is told the bytes as they are done with.
pub(crate) fn hash_all(trees: &mut [Tree], known: &Pass, jobs: usize, progress: &(dyn Fn(u64) + Sync)) {
    let mut work = Vec::new();
    for tree in trees.iter_mut() {
        for item in &mut tree.items {
            let Kind::File { stat, sha256 } = &mut item.kind else { continue };
            let path = tree.root.join(&item.path);
            *sha256 = known.vouches(&path, stat);
            if sha256.is_some() {
                progress(stat.size);
            } else {
                work.push((stat.size, path, &mut item.kind));
            }
        }
    }
    work.sort_by_key(|(size, ..)| std::cmp::Reverse(*size));
    let work: Vec<Mutex<_>> = work.into_iter().map(Mutex::new).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, work.len().max(1)) {
            scope.spawn(|| {
                let mut buffer = vec![0; BUFFER_BYTES];
                while let Some(item) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Each is locked once, by the thread that drew its number.
                    if let Ok(mut item) = item.lock() {
                        let (size, path, kind) = &mut *item;
                        hash_one(path, kind, &mut buffer);
                        progress(*size);
                    }
                }
            });
        }
    });
}

fn hash_one(path: &Path, kind: &mut Kind, buffer: &mut [u8]) {
    match hash_file(path, buffer) {
        Ok(hash) => {
            if let Kind::File { sha256, .. } = kind {
                *sha256 = Some(hash);
            }
        }
        Err(error) => *kind = Kind::Unreadable(tool::io_text(&error)),
    }
}

fn hash_file(path: &Path, buffer: &mut [u8]) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
