//! Whether every file of every package is what it was: hashed, and compared with what the package lists and with the
//! manifest.
mod clock;
mod hash_note;
mod listing;
mod manifest;
mod read;
mod record;
mod source;
mod tree;
mod walk;

pub(crate) use manifest::Manifest;
pub(crate) use record::record_paths;

use crate::cache_entry::CacheEntry;
use crate::gap::Fault;
use crate::place::replaceable;
use crate::pool::Pool;
use clock::now;
use hash_note::HashNote;
use lock::Package;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tool::{Code, Failure};
use tree::Tree;

/// How much is read.
pub(crate) struct HashOptions<'a> {
    /// Threads, and with whose rights they read.
    pub(crate) pool: Pool<'a>,
    /// The note of an earlier pass, to be replaced by one of this.
    pub(crate) note: Option<&'a Path>,
    /// Read every file, whatever the note says.
    pub(crate) all: bool,
}

/// Packages that were found, with every file of theirs.
pub(crate) struct DeepCheck<'a> {
    packages: Vec<Hashed<'a>>,
    pool: Pool<'a>,
    /// Bytes that were read; the others were known from the note.
    pub(crate) hashed_bytes: u64,
}

struct Hashed<'a> {
    index: usize,
    package: &'a Package,
    found: &'a CacheEntry,
    tree: Tree,
    fault: Option<Fault>,
}

impl<'a> DeepCheck<'a> {
    /// Hash all files of the packages.
    pub(crate) fn of(
        found: &'a [(usize, &'a Package, CacheEntry)],
        effort: &HashOptions<'a>,
    ) -> Result<Self, Failure> {
        let note = match effort.note {
            Some(path) => HashNote::read(path).map_err(|error| note_failure("read", path, &error))?,
            None => HashNote::default(),
        };
        let begun = now();
        let hashed = |(index, package, found): &'a (usize, &'a Package, CacheEntry)| {
            let tree = Tree { root: found.root().to_owned(), items: Vec::new() };
            Hashed { index: *index, package, found, tree, fault: None }
        };
        let mut packages: Vec<Hashed<'_>> = found.iter().map(hashed).collect();
        let wrong = Mutex::new(None);
        let looked = effort.pool.each(
            &mut packages,
            || (),
            |(), Hashed { found, tree, .. }| {
                tree.items = walk::walk(&tree.root);
                listing::leave_out_unlisted(found, tree);
                let reused = note.reuse_hashes(tree);
                if let (Err(error), Ok(mut wrong)) = (reused, wrong.lock()) {
                    *wrong = Some(error);
                }
                if effort.all {
                    tree.forget();
                }
            },
        );
        let reader = effort.pool.reader;
        looked.map_err(|error| reader.refused(&error))?;
        if let (Some(path), Some(error)) = (effort.note, wrong.into_inner().unwrap_or_default()) {
            return Err(note_failure("read", path, &error));
        }
        // With nothing read there is nothing new to note. Else a note that cannot be written is reported now, before hours of reading.
        let unread = packages.iter().any(|hashed| hashed.tree.unread_bytes() > 0);
        if let Some(path) = effort.note.filter(|_| unread) {
            replaceable(path).map_err(|error| note_failure("write", path, &error))?;
        }
        let hashed_bytes = hash(&mut packages, effort.pool).map_err(|error| reader.refused(&error))?;
        if let Some(path) = effort.note.filter(|_| hashed_bytes > 0) {
            let trees: Vec<&Tree> = packages.iter().map(|hashed| &hashed.tree).collect();
            let written = note.replace(path, &trees, begun);
            written.map_err(|error| note_failure("write", path, &error))?;
        }
        Ok(Self { packages, pool: effort.pool, hashed_bytes })
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.packages.iter().map(|hashed| hashed.tree.extent().1).sum()
    }

    /// What differs from what the packages list, and from what the manifest recorded.
    ///
    /// # Errors
    /// We may not read as who installs: 69.
    pub(crate) fn faults(&mut self, manifest: Option<&Manifest>) -> Result<Vec<(usize, Fault)>, Failure> {
        let compared = self.pool.each(
            &mut self.packages,
            || (),
            |(), hashed| {
                let compared = match hashed.found {
                    CacheEntry::Source { .. } => source::compare(&hashed.tree),
                    listed => listing::compare(listed, &hashed.tree),
                };
                hashed.fault = match (compared, hashed.is_as_recorded(manifest)) {
                    (Err(fault), _) if fault.blocks(false) => Some(fault),
                    (_, Err(fault)) => Some(fault),
                    (Err(fault), Ok(false)) => Some(fault),
                    (Ok(()), _) | (_, Ok(true)) => None,
                };
            },
        );
        compared.map_err(|error| self.pool.reader.refused(&error))?;
        let fault = |hashed: &mut Hashed<'_>| Some((hashed.index, hashed.fault.take()?));
        Ok(self.packages.iter_mut().filter_map(fault).collect())
    }

    /// All of it, as a manifest has it.
    ///
    /// # Errors
    /// A path of it that cannot be read, and why: what it holds is not known.
    pub(crate) fn recorded(&self) -> Result<Vec<manifest::Package>, (PathBuf, String)> {
        let of = |hashed: &Hashed<'_>| match hashed.tree.unread() {
            Some(unread) => Err(unread),
            None => Ok(manifest::Package::of(hashed.package, hashed.found, &hashed.tree)),
        };
        self.packages.iter().map(of).collect()
    }
}

impl Hashed<'_> {
    /// Whether the manifest has this tree; a fault where it has another.
    fn is_as_recorded(&self, manifest: Option<&Manifest>) -> Result<bool, Fault> {
        let recorded = manifest.and_then(|manifest| manifest.package(self.package, self.found));
        if let (Some(_), Some((path, cause))) = (recorded, self.tree.unread()) {
            return Err(Fault::new("damaged", path, format!("it cannot be read: {cause}")));
        }
        match recorded {
            Some(manifest::Package { contents: Some(contents), .. }) => {
                source::is_as_recorded(&self.tree, contents).map(|()| true)
            }
            Some(recorded) if recorded.tree_sha256 != self.tree.sha256() => {
                let (files, bytes) = self.tree.extent();
                let detail = format!(
                    "it is not the tree that the manifest recorded: {files} files and {bytes} bytes, recorded were {} \
                     and {}",
                    recorded.files, recorded.bytes
                );
                Err(Fault::new("damaged", &self.tree.root, detail))
            }
            Some(recorded) => self.runs_as_recorded(recorded).map(|()| true),
            None => Ok(false),
        }
    }

    /// A fault where a file may not be run any more; that others may be now breaks nothing.
    fn runs_as_recorded(&self, recorded: &manifest::Package) -> Result<(), Fault> {
        let Some(recorded) = recorded.executables.as_deref().filter(|recorded| !recorded.is_empty()) else {
            return Ok(());
        };
        let run = self.tree.executables();
        let mut lost = recorded.iter().filter(|path| run.binary_search(path).is_err());
        let Some(first) = lost.next() else { return Ok(()) };
        let more = match lost.count() {
            0 => String::new(),
            others => format!(", nor {others} more files"),
        };
        let detail = format!("it may not be run any more{more}: a copy has lost the modes");
        Err(Fault::new("damaged", self.tree.root.join(first), detail))
    }
}

/// Read what the note does not know; how many bytes.
fn hash(packages: &mut [Hashed<'_>], pool: Pool<'_>) -> std::io::Result<u64> {
    let unread = packages.iter().map(|hashed| hashed.tree.unread_bytes()).sum();
    let bar = tool::bytes_bar("hashing", unread);
    let trees = packages.iter_mut().map(|hashed| &mut hashed.tree).collect();
    let read = read::read_all(trees, pool, &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    read.map(|()| unread)
}

fn note_failure(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    let code = if error.kind() == std::io::ErrorKind::InvalidData { Code::Input } else { Code::Unmet };
    let failure = Failure::io(code, format!("cannot {verb} the note {}", path.display()), error);
    if code == Code::Input { failure.hint("name another file with --since, or remove it") } else { failure }
}
