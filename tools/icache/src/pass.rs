//! The note of an earlier pass, for `--since`: how each file looked and what it hashed to.
use crate::tree::{Kind, Stat, Tree};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// The first line of the file: format 1.
const HEAD: &str = "infer-dev icache pass 1";

/// What an earlier pass knew; empty where there was none.
#[derive(Debug, Default)]
pub(crate) struct Pass(HashMap<PathBuf, (Stat, [u8; 32])>);

impl Pass {
    /// Read a note. A missing one is an empty one: then everything is hashed.
    ///
    /// # Errors
    /// What the system says, or that the file is not such a note.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let wrong = || io::Error::other("it is not the note of an earlier pass");
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Err(wrong());
        }
        lines.map(|line| parse(line).ok_or_else(wrong)).collect::<Result<_, _>>().map(Self)
    }

    /// The hash of a file that looks as it did.
    pub(crate) fn vouches(&self, path: &Path, stat: &Stat) -> Option<[u8; 32]> {
        self.0.get(path).filter(|(then, _)| then == stat).map(|(_, hash)| *hash)
    }

    /// Note how all files look now, in one step.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn write(path: &Path, trees: &[Tree]) -> io::Result<()> {
        let mut text = format!("{HEAD}\n");
        for tree in trees {
            for item in &tree.items {
                let Kind::File { stat, sha256: Some(hash) } = &item.kind else { continue };
                let path = tree.root.join(&item.path);
                // A path that is not text, or has a line break in it, is hashed again next time.
                let Some(path) = path.to_str().filter(|path| !path.contains('\n')) else { continue };
                for byte in hash {
                    write!(text, "{byte:02x}").map_err(io::Error::other)?;
                }
                let Stat { size, mtime_ns, ctime_ns, inode } = stat;
                writeln!(text, " {size} {mtime_ns} {ctime_ns} {inode} {path}").map_err(io::Error::other)?;
            }
        }
        replace(path, text.as_bytes())
    }
}

/// Write a file beside its place and rename it there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let staged = path.with_file_name(name);
    let written = std::fs::write(&staged, content).and_then(|()| std::fs::rename(&staged, path));
    written.inspect_err(|_| drop(std::fs::remove_file(&staged)))
}

fn parse(line: &str) -> Option<(PathBuf, (Stat, [u8; 32]))> {
    let mut fields = line.splitn(6, ' ');
    let hex = fields.next()?;
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    let stat = Stat {
        size: fields.next()?.parse().ok()?,
        mtime_ns: fields.next()?.parse().ok()?,
        ctime_ns: fields.next()?.parse().ok()?,
        inode: fields.next()?.parse().ok()?,
    };
    Some((PathBuf::from(fields.next()?), (stat, hash)))
}
