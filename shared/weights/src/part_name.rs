//! A model that is split into several files.
use std::path::{Path, PathBuf};

/// What the header of a part says of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// Which part this is, from 0.
    pub(crate) index: Option<u64>,
    /// How many there are.
    pub(crate) count: u64,
    /// Tensors in all of them.
    pub(crate) tensors: Option<u64>,
}

/// A name of the form `PREFIX-00001-of-00003.EXTENSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartName {
    prefix: String,
    extension: String,
    /// Digits of a number.
    digits: usize,
    /// Which part this is, from 1; some makers count from 0.
    pub(crate) number: u64,
    /// How many there are.
    pub(crate) count: u64,
}

impl PartName {
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (prefix, number) = rest.rsplit_once('-')?;
        let is_number =
            |text: &str| !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(number) || !is_number(count) {
            return None;
        }
        Some(Self {
            prefix: prefix.to_owned(),
            extension: extension.to_owned(),
            digits: number.len(),
            number: number.parse().ok()?,
            count: count.parse().ok()?,
        })
    }

    /// The name of another part.
    pub(crate) fn name(&self, number: u64) -> String {
        let Self { prefix, extension, digits, count, .. } = self;
        format!("{prefix}-{number:0digits$}-of-{count:0digits$}.{extension}")
    }

    /// Whether both are parts of one set.
    pub(crate) fn is_sibling(&self, other: &Self) -> bool {
        (&self.prefix, &self.extension, self.count) == (&other.prefix, &other.extension, other.count)
    }
}

/// The file of this name beside another.
pub(crate) fn sibling_path(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

/// The names of a file and of the other parts, where its name counts them.
pub(crate) fn siblings(name: &str) -> Vec<String> {
    match PartName::of(name) {
        Some(part) if part.count > 1 && part.count < 100_000 => {
            (1..=part.count).map(|number| part.name(number)).collect()
        }
        _ => vec![name.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::PartName;

    #[test]
    fn numbered_names_are_read_and_written() {
        let part = PartName::of("a-b-00002-of-00003.gguf").unwrap();
        assert_eq!((part.number, part.count), (2, 3));
        assert_eq!(part.name(3), "a-b-00003-of-00003.gguf");
        for name in ["a.gguf", "a-of-3.gguf", "a-1-of-x.gguf", "a-00001-of-00003"] {
            assert_eq!(PartName::of(name), None, "{name}");
        }
    }
}
