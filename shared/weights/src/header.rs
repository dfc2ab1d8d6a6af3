//! What the headers of all formats have in common.
use crate::report::TotalsByType;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// The longest header that is read, in bytes: what the reference implementation of safetensors takes.
pub const HEADER_BYTES: u64 = 100_000_000;

/// The header of a file of weights, of whichever format.
pub(crate) trait WeightsHeader: Sized {
    /// Read it from a file of so many bytes.
    ///
    /// # Errors
    /// There is none, or it is damaged, in words.
    fn read(file: &File, size: u64) -> Result<Self, String>;

    /// What its tensors are.
    fn totals(&self) -> &TotalsByType;

    /// Where the bytes of the tensors begin in the file; or what is wrong with the header or with the file's size.
    fn data(&self) -> Result<u64, &str>;
}

/// The number that stands for a tensor's name in this process: names are not kept, and nobody outside can foresee it.
pub(crate) fn number(name: &str) -> u64 {
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    STATE.hash_one(name)
}
