//! The note of an earlier pass, for `--since`: how each file looked and what it hashed to.
use super::tree::{Item, Kind, Stat, Tree};
use crate::program::may_run;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first line of the file up to its format. Then for each package `tree BYTES FOLDER` and so many bytes of lines, one
/// for a file, in the order of [`Tree`]: with their length before them nobody has to look for their end.
const HEAD: &str = "infer-dev icache note ";

/// The format that is written, and read. What an older one knew is not worth the reading.
const FORMAT: u32 = 2;

/// Each file has some 200 bytes of it.
const BYTES: usize = 1 << 30;

/// A file that changed so shortly before it was read may change again without looking any different: times are that
/// coarse. It is not noted, and so read again.
const UNSETTLED: Duration = Duration::from_millis(50);

/// What an earlier pass knew; nothing where there was none.
#[derive(Debug, Default)]
pub(super) struct HashNote {
    text: Vec<u8>,
    /// Where in the text the lines of each package's folder are.
    trees: HashMap<PathBuf, Range<usize>>,
}

impl HashNote {
    /// Read a note. A missing or empty one knows nothing: then everything is read. What is no file is refused: the next
    /// note would take its place.
    ///
    /// # Errors
    /// What the system says; `InvalidData` where the file is not such a note.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let text = match owner::read_file(path, BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let trees = trees(&text).ok_or_else(wrong)?;
        Ok(Self { text, trees })
    }

    /// Give the files that look as they did the hash that they had.
    ///
    /// # Errors
    /// `InvalidData` where the note is not one.
    pub(super) fn reuse_hashes(&self, tree: &mut Tree) -> io::Result<()> {
        let Some(known) = self.trees.get(&tree.root) else { return Ok(()) };
        let mut rest = &self.text[known.clone()];
        let mut next = || Entry::next(&mut rest);
        let mut entry = next()?;
        for Item { path, kind } in &mut tree.items {
            let Kind::File { stat, sha256, .. } = kind else { continue };
            let path = path.as_os_str().as_bytes();
            while let Some(known) = &entry {
                match order(known.path, path) {
                    Ordering::Greater => break,
                    Ordering::Equal if known.stat == *stat => *sha256 = Some(known.sha256),
                    _ => {}
                }
                entry = next()?;
            }
        }
        // What is left over has gone from the package.
        while entry.is_some() {
            entry = next()?;
        }
        Ok(())
    }

    /// Write the note of a pass that began at `begun`, in one step. Packages that this pass did not look at stay in, as
    /// long as they exist: another environment or engine may have them.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn replace(mut self, path: &Path, trees: &[&Tree], begun: Duration) -> io::Result<()> {
        let settled = i64::try_from(begun.saturating_sub(UNSETTLED).as_nanos()).unwrap_or(i64::MAX);
        for tree in trees {
            self.trees.remove(&tree.root);
        }
        self.trees.retain(|root, _| root.is_dir());
        let mut out = format!("{HEAD}{FORMAT}\n").into_bytes();
        for (root, lines) in &self.trees {
            write_tree(&mut out, root, &self.text[lines.clone()])?;
        }
        let mut lines = Vec::new();
        for tree in trees {
            lines.clear();
            for item in &tree.items {
                let Kind::File { stat, mode, program, sha256: Some(hash) } = &item.kind else { continue };
                // What may be at fault for its mode is looked at again.
                if program.is_some_and(|program| !may_run(*mode) && program.may_be_at_fault(&item.path)) {
                    continue;
                }
                if stat.mtime_ns.max(stat.ctime_ns) < settled {
                    write_entry(&mut lines, &item.path, stat, hash)?;
                }
            }
            write_tree(&mut out, &tree.root, &lines)?;
        }
        crate::place::replace(path, &out)
    }
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not the note of an earlier pass")
}

/// Where the lines of each folder are; `None` where the text is not a note.
fn trees(text: &[u8]) -> Option<HashMap<PathBuf, Range<usize>>> {
    let mut trees = HashMap::new();
    if text.is_empty() {
        return Some(trees);
    }
    let (head, mut rest) = line(text)?;
    let format: u32 = number(head.strip_prefix(HEAD.as_bytes())?)?;
    if format < FORMAT {
        return Some(trees);
    }
    while format == FORMAT && !rest.is_empty() {
        let (head, lines) = line(rest)?;
        let (length, root) = field(head.strip_prefix(b"tree ")?)?;
        let (start, length) = (text.len() - lines.len(), number(length)?);
        rest = lines.get(length..)?;
        trees.insert(Path::new(std::ffi::OsStr::from_bytes(root)).to_owned(), start..start + length);
    }
    (format == FORMAT).then_some(trees)
}

/// A line, and what follows it.
fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

/// What stands before a space, and what follows it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    Some((&line[..end], &line[end + 1..]))
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A file: how it looked, and its hash.
struct Entry<'a> {
    path: &'a [u8],
    stat: Stat,
    sha256: [u8; 32],
}

impl<'a> Entry<'a> {
    /// Take one off the lines, if there is one.
    fn next(lines: &mut &'a [u8]) -> io::Result<Option<Self>> {
        if lines.is_empty() {
            return Ok(None);
        }
        let (whole, length) = (*lines, lines.skip_until(b'\n')?);
        let line = &whole[..length];
        line.strip_suffix(b"\n").and_then(Self::parse).map(Some).ok_or_else(wrong)
    }

    fn parse(line: &'a [u8]) -> Option<Self> {
        let (hash, rest) = line.split_at_checked(64)?;
        let (size, rest) = leading_number(rest)?;
        let (mtime_ns, rest) = leading_number(rest)?;
        let (ctime_ns, rest) = leading_number(rest)?;
        let (inode, rest) = leading_number(rest)?;
        let stat = Stat {
            size: size.try_into().ok()?,
            mtime_ns: mtime_ns.try_into().ok()?,
            ctime_ns: ctime_ns.try_into().ok()?,
            inode: inode.try_into().ok()?,
        };
        Some(Self { path: rest.strip_prefix(b" ")?, stat, sha256: store::hash_from_hex(hash)? })
    }
}

/// A number after a space, and what follows it.
fn leading_number(text: &[u8]) -> Option<(i128, &[u8])> {
    let text = text.strip_prefix(b" ")?;
    let (sign, digits) = text.strip_prefix(b"-").map_or((1, text), |digits| (-1, digits));
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(length);
    let more = |value: u64, digit: &u8| value.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let value = digits.iter().try_fold(0, more)?;
    (length > 0).then_some((sign * i128::from(value), rest))
}

/// The order of a tree: by the parts of the path, so that `/` comes before all.
fn order(one: &[u8], other: &[u8]) -> Ordering {
    if one == other {
        return Ordering::Equal;
    }
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    one.iter().map(rank).cmp(other.iter().map(rank))
}

/// A path as one line can hold it; files of others are read again next time.
fn fits(path: &Path) -> bool {
    !path.as_os_str().as_bytes().contains(&b'\n')
}

fn write_tree(out: &mut dyn Write, root: &Path, lines: &[u8]) -> io::Result<()> {
    if !fits(root) {
        return Ok(());
    }
    write!(out, "tree {} ", lines.len())?;
    out.write_all(root.as_os_str().as_bytes())?;
    out.write_all(b"\n")?;
    out.write_all(lines)
}

fn write_entry(out: &mut Vec<u8>, path: &Path, stat: &Stat, hash: &[u8; 32]) -> io::Result<()> {
    if !fits(path) {
        return Ok(());
    }
    let Stat { size, mtime_ns, ctime_ns, inode } = stat;
    write!(out, "{} {size} {mtime_ns} {ctime_ns} {inode} ", base16ct::lower::encode_string(hash))?;
    out.extend_from_slice(path.as_os_str().as_bytes());
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_note_is_that_of_paths() {
        let mut paths = ["a", "a/b", "a-b", "a/b/c", "a/b-c", "a.b/c", "ab", "b", "a b/x", "\u{e4}/x"];
        paths.sort_by(|one, other| Path::new(one).cmp(Path::new(other)));
        let mut ours = paths;
        ours.reverse();
        ours.sort_by(|one, other| order(one.as_bytes(), other.as_bytes()));
        assert_eq!(ours, paths);
    }

    #[test]
    fn a_note_that_was_cut_short_is_none() {
        let note = b"infer-dev icache note 2\ntree 0 /a\ntree 5 /b c\nabcd\n";
        let found = trees(note).unwrap();
        assert_eq!((found.len(), &note[found[Path::new("/b c")].clone()]), (2, &b"abcd\n"[..]));
        for length in 1..note.len() - 1 {
            let cut = trees(&note[..length]);
            let at_border = note[..length].ends_with(b"note 2\n") || note[..length].ends_with(b"/a\n");
            assert_eq!(cut.is_some(), at_border, "{length}");
        }
        assert_eq!(trees(b"infer-dev icache note 1\ntree /a\n").unwrap().len(), 0);
        assert!(trees(b"infer-dev icache note 3\n").is_none());
    }
}
