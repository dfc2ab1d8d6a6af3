//! The files of a package.
use crate::program::{self, Program};
use base16ct::lower::encode_string as hex;
use sha2::{Digest, Sha256};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How a file looked: when none of it changed, the file did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) ctime_ns: i64,
    pub(super) inode: u64,
}

impl Stat {
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        let nanoseconds = |seconds: i64, rest: u64| {
            seconds.saturating_mul(1_000_000_000).saturating_add(i64::try_from(rest).unwrap_or_default())
        };
        Self {
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
        }
    }
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file; hashed once the pool has been at it.
    File {
        stat: Stat,
        /// Who may do what with it.
        mode: u32,
        /// Its content is that of a program; known once it is hashed.
        program: Option<Program>,
        sha256: Option<[u8; 32]>,
    },
    /// A symbolic link and its target.
    Link(PathBuf),
    /// A folder.
    Folder,
    /// A large file of another size than its package lists, or that it does not list: not worth the reading, and maybe
    /// without end.
    Unlisted { size: u64 },
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
    /// Number and size of the files.
    pub(super) fn extent(&self) -> (u64, u64) {
        self.items.iter().fold((0, 0), |(files, bytes), item| match &item.kind {
            Kind::File { stat, .. } => (files + 1, bytes.saturating_add(stat.size)),
            Kind::Unlisted { size } => (files + 1, bytes.saturating_add(*size)),
            _ => (files, bytes),
        })
    }

    /// The first path that was not read, and why. The tree's hash says nothing then.
    pub(super) fn unread(&self) -> Option<(PathBuf, String)> {
        let cause = |kind: &Kind| match kind {
            Kind::Unreadable(cause) => Some(cause.clone()),
            Kind::Unlisted { size } => Some(format!("it has {size} bytes, which its package does not list")),
            _ => None,
        };
        self.items.iter().find_map(|item| Some((self.root.join(&item.path), cause(&item.kind)?)))
    }

    /// The folder at or above a path that could not be read.
    pub(super) fn unread_above(&self, path: &Path) -> Option<&Item> {
        let above = |item: &&Item| matches!(item.kind, Kind::Unreadable(_)) && path.starts_with(&item.path);
        self.items.iter().find(above)
    }

    /// Size of the files whose hash is not known.
    pub(super) fn unread_bytes(&self) -> u64 {
        let unread = |item: &Item| match &item.kind {
            Kind::File { stat, sha256: None, .. } => stat.size,
            _ => 0,
        };
        self.items.iter().map(unread).sum()
    }

    /// Know no hash.
    pub(super) fn forget(&mut self) {
        for item in &mut self.items {
            if let Kind::File { sha256, .. } = &mut item.kind {
                *sha256 = None;
            }
        }
    }

    /// The files that may be run, sorted, but for libraries, which many builders mark so and nobody runs.
    pub(super) fn executables(&self) -> Vec<String> {
        let runs = |item: &&Item| match item.kind {
            Kind::File { mode, .. } => program::may_run(mode) && !program::is_library(&item.path),
            _ => false,
        };
        let run = self.items.iter().filter(runs).map(|item| item.path.to_string_lossy().into_owned());
        let mut run: Vec<String> = run.collect();
        run.sort_unstable();
        run
    }

    /// One hash over all paths, types, link targets and file contents. Times, owners and modes are not part of it: they
    /// change when a cache is copied. Of the modes only what may be run has to stay.
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
                Kind::Unlisted { .. } | Kind::Unreadable(_) => hash.update(b"\0unreadable"),
            }
            hash.update(b"\0\n");
        }
        hex(&hash.finalize())
    }
}
