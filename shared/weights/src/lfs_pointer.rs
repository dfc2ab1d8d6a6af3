//! Pointer files of git-lfs: a few lines of text in the place of a file that was not fetched.
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Larger ones are none: the specification says below 1024 bytes.
const BYTES: u64 = 1024;
const FIRST_LINE: &str = "version https://git-lfs.github.com/spec/";

/// What it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LfsPointer {
    /// Lower-case hex.
    pub(crate) sha256: String,
    /// Bytes.
    pub(crate) size: u64,
}

impl LfsPointer {
    /// What the file stands for, where it is a pointer.
    pub(crate) fn at(path: &Path, size: u64) -> Option<Self> {
        if size == 0 || size >= BYTES {
            return None;
        }
        Self::of(&owner::open_file(path).ok()?)
    }

    fn of(file: &File) -> Option<Self> {
        let mut text = String::new();
        file.take(BYTES).read_to_string(&mut text).ok()?;
        if !text.starts_with(FIRST_LINE) {
            return None;
        }
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let sha256 = value("oid")?.strip_prefix("sha256:")?;
        let hex = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = value("size")?.trim().parse().ok()?;
        hex.then(|| Self { sha256: sha256.to_ascii_lowercase(), size })
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        format!("it is a git-lfs pointer to {} bytes with the sha256 {}", self.size, self.sha256)
    }
}

/// What to do about one.
pub(crate) const GIT_LFS_HINT: &str =
    "fetch the file itself on a connected machine, with git lfs pull or hf download, and copy it here";
