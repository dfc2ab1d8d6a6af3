//! The note of an earlier pass, for `--since`: how each file looked and what it hashed to.
use super::tree::{Kind, Stat, Tree};
use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first line of the file: format 1. Then `tree FOLDER` and a line for each file of it.
const HEAD: &str = "infer-dev icache note 1";

/// A file that changed so shortly before it was read may change again without looking any different: times are that
/// coarse. It is not noted, and so read again.
const UNSETTLED: Duration = Duration::from_millis(50);

/// A file: how it looked, and its hash.
type Entry = (PathBuf, Stat, [u8; 32]);

/// What an earlier pass knew, by package folder, sorted by path; empty where there was none.
#[derive(Debug, Default)]
pub(super) struct Note(HashMap<PathBuf, Vec<Entry>>);

impl Note {
    /// Read a note. A missing or empty one knows nothing: then everything is read.
    ///
    /// # Errors
    /// What the system says; `InvalidData` where the file is not such a note.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it is not the note of an earlier pass");
        let mut lines = io::BufReader::new(file).lines();
        match lines.next().transpose()? {
            None => return Ok(Self::default()),
            Some(head) if head == HEAD => {}
            Some(_) => return Err(wrong()),
        }
        let mut trees = HashMap::new();
        let mut tree: Option<(PathBuf, Vec<Entry>)> = None;
        for line in lines {
            let line = line?;
            if let Some(root) = line.strip_prefix("tree ") {
                trees.extend(tree.replace((root.into(), Vec::new())));
            } else {
                let entries = tree.as_mut().map(|(_, entries)| entries).ok_or_else(wrong)?;
                entries.push(parse(&line).ok_or_else(wrong)?);
            }
        }
        trees.extend(tree);
        Ok(Self(trees))
    }

    /// What is known of the files of one package.
    pub(super) fn tree(&self, root: &Path) -> &[Entry] {
        self.0.get(root).map_or(&[], Vec::as_slice)
    }

    /// Write the note of a pass that began at `begun`, in one step. Packages that this pass did not look at stay in, as
    /// long as they exist: another environment or engine may have them.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn replace(mut self, path: &Path, trees: &[&Tree], begun: Duration) -> io::Result<()> {
        let settled = i64::try_from(begun.saturating_sub(UNSETTLED).as_nanos()).unwrap_or(i64::MAX);
        for tree in trees {
            self.0.remove(&tree.root);
        }
        self.0.retain(|root, _| root.is_dir());
        super::replace(path, |out| {
            writeln!(out, "{HEAD}")?;
            for (root, entries) in &self.0 {
                write_root(out, root)?;
                for (path, stat, hash) in entries {
                    write_entry(out, path, stat, hash)?;
                }
            }
            for tree in trees {
                if !write_root(out, &tree.root)? {
                    continue;
                }
                for item in &tree.items {
                    let Kind::File { stat, sha256: Some(hash) } = &item.kind else { continue };
                    if stat.mtime_ns.max(stat.ctime_ns) < settled {
                        write_entry(out, &item.path, stat, hash)?;
                    }
                }
            }
            Ok(())
        })
    }
}

/// The hash of a file that looks as it did.
pub(super) fn vouches(known: &[Entry], path: &Path, stat: &Stat) -> Option<[u8; 32]> {
    let at = known.binary_search_by(|(known, ..)| known.as_path().cmp(path)).ok()?;
    known.get(at).filter(|(_, then, _)| then == stat).map(|(.., hash)| *hash)
}

/// A path as one line can hold it; files of others are read again next time.
fn text(path: &Path) -> Option<&str> {
    path.to_str().filter(|path| !path.contains('\n'))
}

fn write_root(out: &mut dyn Write, root: &Path) -> io::Result<bool> {
    let Some(root) = text(root) else { return Ok(false) };
    writeln!(out, "tree {root}").map(|()| true)
}

fn write_entry(out: &mut dyn Write, path: &Path, stat: &Stat, hash: &[u8; 32]) -> io::Result<()> {
    let Some(path) = text(path) else { return Ok(()) };
    let Stat { size, mtime_ns, ctime_ns, inode } = stat;
    writeln!(out, "{} {size} {mtime_ns} {ctime_ns} {inode} {path}", super::tree::hex(hash))
}

fn parse(line: &str) -> Option<Entry> {
    let mut fields = line.splitn(6, ' ');
    let hash = super::listing::hash_from_hex(fields.next()?)?;
    let stat = Stat {
        size: fields.next()?.parse().ok()?,
        mtime_ns: fields.next()?.parse().ok()?,
        ctime_ns: fields.next()?.parse().ok()?,
        inode: fields.next()?.parse().ok()?,
    };
    Some((PathBuf::from(fields.next()?), stat, hash))
}
