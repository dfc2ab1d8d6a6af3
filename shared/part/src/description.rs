//! What a part says of itself, in its first block.
//!
//! The block is one line of JSON, one line with that line's sha256, and spaces up to its end: so a flipped bit anywhere in
//! it is seen. It is fixed in size, because most of it is known only when the whole has been read.
use crate::Hasher;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

/// Size of the block. Data that starts on such a boundary suits every file system.
pub const DESCRIPTION_BYTES: usize = 4096;
pub(crate) const FORMAT: u64 = 1;
/// What every part begins with, whatever its format.
const MAGIC: &[u8] = b"{\"kind\":\"part\",\"format\":";

/// The file that was split, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WholeFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// sha256 of its content.
    pub sha256: String,
    /// Bytes of it in each part; the last part has the rest.
    pub split_bytes: u64,
}

impl WholeFile {
    /// How many parts it makes: at least one.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.size_bytes.div_ceil(self.split_bytes.max(1)).max(1)
    }

    /// Where in the whole a part begins; for one after the last, the end.
    #[must_use]
    pub fn offset_of(&self, index: u64) -> u64 {
        index.saturating_sub(1).saturating_mul(self.split_bytes).min(self.size_bytes)
    }

    /// Whether it can be a file. None is larger; and all that is computed from its size stays a number.
    pub(crate) fn is_possible(&self) -> bool {
        self.size_bytes <= i64::MAX.unsigned_abs() && self.split_bytes > 0 && is_name(&self.name)
    }

    /// The name of a part's file.
    #[must_use]
    pub fn part_name(&self, index: u64) -> String {
        format!("{}.{index:03}-of-{:03}", self.name, self.count())
    }
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    kind: String,
    format: u64,
    /// Which part: 1 to `count`.
    pub index: u64,
    /// How many there are.
    pub count: u64,
    /// Bytes of the whole in this one.
    pub size_bytes: u64,
    /// sha256 of those.
    pub sha256: String,
    /// sha256 of the whole up to where this part begins.
    pub before_sha256: String,
    /// sha256 of the whole up to where this part ends.
    pub after_sha256: String,
    /// What it is a part of.
    pub whole: WholeFile,
}

/// Why there is no description to be had.
#[derive(Debug)]
pub enum DescriptionError {
    /// Nothing like a part.
    NotAPart,
    /// A part, but the description is damaged, in words.
    Damaged(String),
    /// A part of a format that this version does not know.
    Newer(u64),
    /// The file cannot be read.
    Io(io::Error),
}

impl Part {
    /// One part of `whole`; `digests` of its data, of all before it, and of all up to its end.
    #[must_use]
    pub fn new(whole: WholeFile, index: u64, [sha256, before_sha256, after_sha256]: [String; 3]) -> Self {
        let size_bytes = whole.offset_of(index + 1) - whole.offset_of(index);
        let (kind, format, count) = ("part".to_owned(), FORMAT, whole.count());
        Self { kind, format, index, count, size_bytes, sha256, before_sha256, after_sha256, whole }
    }

    /// The block that describes it; `None` when the name of the whole is too long for it.
    #[must_use]
    pub fn block(&self) -> Option<Vec<u8>> {
        block_of(&serde_json::to_string(self).ok()?)
    }

    /// The size of the part's file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.size_bytes.saturating_add(DESCRIPTION_BYTES as u64)
    }

    /// Read the description; the reader then stands where the data begin.
    ///
    /// # Errors
    /// There is none that could be believed.
    pub fn read(reader: &mut impl Read) -> Result<Self, DescriptionError> {
        let line = read_line(reader, MAGIC)?;
        let damaged = || DescriptionError::Damaged("its description is damaged".to_owned());
        let part: Self = serde_json::from_str(&line).map_err(|_| damaged())?;
        if part.is_consistent() { Ok(part) } else { Err(damaged()) }
    }

    fn is_consistent(&self) -> bool {
        let whole = &self.whole;
        whole.is_possible()
            && self.count == whole.count()
            && (1..=self.count).contains(&self.index)
            && (self.index < self.count || self.after_sha256 == whole.sha256)
            && self.size_bytes == whole.offset_of(self.index + 1) - whole.offset_of(self.index)
    }
}

/// The line of JSON in a block that begins with `magic`, which ends where the number of its format begins; the reader then
/// stands behind the block.
pub(crate) fn read_line(reader: &mut impl Read, magic: &[u8]) -> Result<String, DescriptionError> {
    let mut block = Vec::with_capacity(DESCRIPTION_BYTES);
    reader.take(DESCRIPTION_BYTES as u64).read_to_end(&mut block).map_err(DescriptionError::Io)?;
    if !block.starts_with(magic) {
        return Err(DescriptionError::NotAPart);
    }
    if block.len() < DESCRIPTION_BYTES {
        let cause = format!("truncated within its description, after {} bytes", block.len());
        return Err(DescriptionError::Damaged(cause));
    }
    let damaged = || DescriptionError::Damaged("its description is damaged".to_owned());
    let line = block.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let line = line.filter(|line| block_of(line).is_some_and(|right| right == block)).ok_or_else(damaged)?;
    let format = line[magic.len()..].split(',').next().and_then(|number| number.parse().ok());
    match format {
        Some(FORMAT) => Ok(line.to_owned()),
        Some(newer) => Err(DescriptionError::Newer(newer)),
        None => Err(damaged()),
    }
}

pub(crate) fn block_of(line: &str) -> Option<Vec<u8>> {
    let mut hasher = Hasher::default();
    hasher.feed(line.as_bytes());
    let mut block = format!("{line}\n{}\n", hasher.digest()).into_bytes();
    if block.len() >= DESCRIPTION_BYTES {
        return None;
    }
    block.resize(DESCRIPTION_BYTES - 1, b' ');
    block.push(b'\n');
    Some(block)
}

/// Whether this can be the name of a whole: one component of a path, printable, and short enough for more behind it.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 240
        && !name.contains(|c: char| c == '/' || c.is_control())
}

/// Which part of a file `whole` the name of a file says that it is, and of how many.
#[must_use]
pub fn parse_part_name(file: &str, whole: &str) -> Option<(u64, u64)> {
    let (index, count) = file.strip_prefix(whole)?.strip_prefix('.')?.split_once("-of-")?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    Some((number(index)?, number(count)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Part {
        let (name, sha256) = ("bundle.tar".to_owned(), "ab".repeat(32));
        let whole = WholeFile { name, size_bytes: 10_000, sha256, split_bytes: 4096 };
        Part::new(whole, 3, ["cd".repeat(32), "ef".repeat(32), "ab".repeat(32)])
    }

    #[test]
    fn a_description_is_read_back_and_every_flipped_bit_of_it_is_seen() {
        let block = part().block().unwrap();
        assert_eq!(block.len(), DESCRIPTION_BYTES);
        assert_eq!(Part::read(&mut &block[..]).unwrap(), part());
        for at in 0..block.len() {
            let mut bad = block.clone();
            bad[at] ^= 4;
            assert!(Part::read(&mut &bad[..]).is_err(), "byte {at}");
        }
        assert!(matches!(Part::read(&mut &block[..4095]), Err(DescriptionError::Damaged(_))));
        assert!(matches!(Part::read(&mut &b"some text"[..]), Err(DescriptionError::NotAPart)));
    }

    #[test]
    fn a_format_of_the_future_is_no_damage() {
        let line = String::from_utf8(part().block().unwrap()).unwrap();
        let line = line.lines().next().unwrap().replace("\"format\":1", "\"format\":2");
        let block = block_of(&line).unwrap();
        assert!(matches!(Part::read(&mut &block[..]), Err(DescriptionError::Newer(2))));
    }

    #[test]
    fn a_whole_that_is_larger_than_any_file_is_damage() {
        let largest = i64::MAX.unsigned_abs();
        for (count, believed) in [(u64::MAX, false), (largest + 1, false), (largest, true)] {
            let whole = WholeFile { size_bytes: count, split_bytes: 1, ..part().whole };
            let last = Part { index: count, count, size_bytes: 1, whole, ..part() };
            assert_eq!(Part::read(&mut &last.block().unwrap()[..]).is_ok(), believed, "{count}");
        }
    }

    #[test]
    fn parts_are_counted_and_placed() {
        let whole = |size_bytes| WholeFile { size_bytes, ..part().whole };
        let counts = [0, 1, 4096, 4097, 8192, 8193].map(|size| whole(size).count());
        assert_eq!(counts, [1, 1, 1, 2, 2, 3]);
        assert_eq!(whole(5000).offset_of(3), 5000);
        assert_eq!(whole(5000).part_name(2), "bundle.tar.002-of-002");
    }

    #[test]
    fn names_say_which_part_they_are() {
        assert_eq!(parse_part_name("a.tar.003-of-005", "a.tar"), Some((3, 5)));
        assert_eq!(parse_part_name("a.tar.1000-of-2000", "a.tar"), Some((1000, 2000)));
        for other in ["a.tar", "a.tar.3-of-", "a.tar.x-of-5", "b.tar.003-of-005", "a.tar.+3-of-5"] {
            assert_eq!(parse_part_name(other, "a.tar"), None, "{other}");
        }
        assert!(!is_name("..") && !is_name("a/b") && !is_name("a\nb") && is_name(".a b"));
    }
}
