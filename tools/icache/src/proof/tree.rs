//! The files of the packages, hashed by a bounded pool of threads.
use super::note::{Note, vouches};
use super::pool;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What one read of a file asks for.
const BUFFER_BYTES: usize = 256 << 10;

/// How a file looked: when none of it changed, the file did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
    pub(super) inode: u64,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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
pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

/// Everything below a package's folder, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) items: Vec<Item>,
}

impl Tree {
    /// Find what is there, without following a link.
    pub(super) fn walk(&mut self) {
        self.items.clear();
        self.descend(Path::new(""));
        self.items.sort_by(|a, b| a.path.cmp(&b.path));
        self.items.shrink_to_fit();
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
    pub(super) fn extent(&self) -> (u64, u64) {
        self.items.iter().fold((0, 0), |(files, bytes), item| match &item.kind {
            Kind::File { stat, .. } => (files + 1, bytes + stat.size),
            _ => (files, bytes),
        })
    }

    /// One hash over all paths, types, link targets and file contents. Times, owners and modes are not part of it: they
    /// change when a cache is copied.
    pub(super) fn sha256(&self) -> String {
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
        hex(&hash.finalize())
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
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
/// alone at the end. `progress` is told the bytes of a file that is done with, and whether it was read.
pub(super) fn hash_all(
    trees: Vec<&mut Tree>,
    known: &Note,
    jobs: usize,
    progress: &(dyn Fn(u64, bool) + Sync),
) {
    let mut work = Vec::new();
    for tree in trees {
        let (root, known) = (tree.root.as_path(), known.tree(&tree.root));
        for item in &mut tree.items {
            let Kind::File { stat, sha256 } = &mut item.kind else { continue };
            *sha256 = vouches(known, &item.path, stat);
            let size = stat.size;
            if sha256.is_some() {
                progress(size, false);
            } else {
                work.push((size, root, item));
            }
        }
    }
    work.sort_by_key(|(size, ..)| std::cmp::Reverse(*size));
    pool::each(
        jobs,
        &mut work,
        || vec![0; BUFFER_BYTES],
        |buffer, (size, root, item)| {
            match hash_file(&root.join(&item.path), buffer) {
                Ok(hash) => {
                    if let Kind::File { sha256, .. } = &mut item.kind {
                        *sha256 = Some(hash);
                    }
                }
                Err(error) => item.kind = Kind::Unreadable(tool::io_text(&error)),
            }
            progress(*size, true);
        },
    );
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
