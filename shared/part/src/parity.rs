//! A parity part: what lost and bad parts are computed from (Reed-Solomon, as the crate reed-solomon-simd has it).
//!
//! All parts are taken to be of one size, the shorter last one filled up with zero bytes. A parity part is a block that
//! describes it, a table with the digests of all parts, and as many bytes as a part has. As many parts can be lost, whichever,
//! as there are parity parts left.
use crate::description::{FORMAT, block_of, read_line};
use crate::{DESCRIPTION_BYTES, DescriptionError, Hasher, Part, WholeFile};
use serde::{Deserialize, Serialize};
use std::io::Read;

/// What every parity part begins with, whatever its format.
const MAGIC: &[u8] = b"{\"kind\":\"parity\",\"format\":";
/// The digests of a part in the table, in hex: its own, and of all up to its end.
const ROW_BYTES: u64 = 128;
/// Parts and parity parts together. What is in memory at a time, and the time that it takes, grow with them.
const MOST: u64 = 4096;
/// What is held of all of them at a time.
const MEMORY_BYTES: u64 = 64 << 20;

/// What one parity part says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parity {
    kind: String,
    format: u64,
    /// Which: 1 to `count`.
    pub index: u64,
    /// How many there are.
    pub count: u64,
    /// sha256 of the table.
    pub table_sha256: String,
    /// sha256 of the parity bytes.
    pub sha256: String,
    /// What it mends.
    pub whole: WholeFile,
}

impl Parity {
    /// One of `count` for `whole`, with the digests of its table and of its bytes.
    #[must_use]
    pub fn new(whole: WholeFile, (index, count): (u64, u64), [table_sha256, sha256]: [String; 2]) -> Self {
        Self { kind: "parity".to_owned(), format: FORMAT, index, count, table_sha256, sha256, whole }
    }

    /// Whether so many can be made of a whole.
    #[must_use]
    pub fn is_possible(whole: &WholeFile, count: u64) -> bool {
        count > 0 && whole.count().saturating_add(count) <= MOST
    }

    /// The block that describes it; `None` when the name of the whole is too long for it.
    #[must_use]
    pub fn block(&self) -> Option<Vec<u8>> {
        block_of(&serde_json::to_string(self).ok()?)
    }

    /// Read the description; the reader then stands where the table begins.
    ///
    /// # Errors
    /// There is none that could be believed.
    pub fn read(reader: &mut impl Read) -> Result<Self, DescriptionError> {
        let line = read_line(reader, MAGIC)?;
        let parity: Option<Self> = serde_json::from_str(&line).ok();
        let right = |parity: &Self| {
            parity.whole.is_possible()
                && Self::is_possible(&parity.whole, parity.count)
                && (1..=parity.count).contains(&parity.index)
        };
        parity.filter(right).ok_or_else(|| DescriptionError::Damaged("its description is damaged".to_owned()))
    }

    /// The name of its file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.parity-{:03}-of-{:03}", self.whole.name, self.index, self.count)
    }

    /// The size of its file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        Self::data_offset(&self.whole).saturating_add(Self::shard_bytes(&self.whole))
    }

    /// Where in the file the parity bytes begin: on a boundary that suits every file system.
    #[must_use]
    pub fn data_offset(whole: &WholeFile) -> u64 {
        let block = DESCRIPTION_BYTES as u64;
        (whole.count().saturating_mul(ROW_BYTES)).div_ceil(block).saturating_add(1).saturating_mul(block)
    }

    /// Parity bytes: as many as the largest part has, rounded up to what the code works on.
    #[must_use]
    pub fn shard_bytes(whole: &WholeFile) -> u64 {
        whole.split_bytes.min(whole.size_bytes).max(1).div_ceil(64).saturating_mul(64)
    }

    /// As much of each part, and of each of `count` parity parts, as is worked on at once: whole blocks of the code.
    #[must_use]
    pub fn stripe_bytes(whole: &WholeFile, count: u64) -> u64 {
        let each = MEMORY_BYTES / whole.count().saturating_add(count).max(1) / 64 * 64;
        each.clamp(64, 1 << 20).min(Self::shard_bytes(whole))
    }

    /// The table of these parts, which are all, in order.
    #[must_use]
    pub fn table(parts: &[Part]) -> Vec<u8> {
        parts.iter().flat_map(|part| format!("{}{}", part.sha256, part.after_sha256).into_bytes()).collect()
    }

    /// The part that a table describes: what a lost one said of itself. `None` for no such part, or no such table.
    #[must_use]
    pub fn part(&self, table: &[u8], index: u64) -> Option<Part> {
        let row = |index: u64| -> Option<(&str, &str)> {
            let start = usize::try_from(index.checked_sub(1)?.checked_mul(ROW_BYTES)?).ok()?;
            let row =
                std::str::from_utf8(table.get(start..start + usize::try_from(ROW_BYTES).ok()?)?).ok()?;
            row.split_at_checked(row.len() / 2)
        };
        let (own, after) = row(index)?;
        let before = if index == 1 { Hasher::default().digest() } else { row(index - 1)?.1.to_owned() };
        Some(Part::new(self.whole.clone(), index, [own.to_owned(), before, after.to_owned()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> WholeFile {
        WholeFile { name: "a.tar".to_owned(), size_bytes: 10_000, sha256: "03".repeat(32), split_bytes: 4096 }
    }

    #[test]
    fn a_lost_part_is_described_by_the_table() {
        let nothing = Hasher::default().digest();
        let digests = [nothing, "01".repeat(32), "02".repeat(32), "03".repeat(32)];
        let part = |index: u64| {
            let [before, after] = [index - 1, index].map(|at| digests[usize::try_from(at).unwrap()].clone());
            Part::new(whole(), index, [format!("{index}").repeat(64), before, after])
        };
        let parts: Vec<Part> = (1..=3).map(part).collect();
        let table = Parity::table(&parts);
        let parity = Parity::new(whole(), (1, 2), ["ab".repeat(32), "cd".repeat(32)]);
        for part in &parts {
            assert_eq!(parity.part(&table, part.index).as_ref(), Some(part));
        }
        assert_eq!((parity.part(&table, 0), parity.part(&table, 4)), (None, None));
    }

    #[test]
    fn a_description_is_read_back_and_is_no_part() {
        let parity = Parity::new(whole(), (1, 2), ["ab".repeat(32), "cd".repeat(32)]);
        let block = parity.block().unwrap();
        assert_eq!(Parity::read(&mut &block[..]).unwrap(), parity);
        assert!(matches!(Part::read(&mut &block[..]), Err(DescriptionError::NotAPart)));
        assert_eq!((parity.file_bytes(), Parity::data_offset(&whole())), (8192 + 4096, 8192));
        let many = Parity::new(whole(), (1, 5000), ["ab".repeat(32), "cd".repeat(32)]);
        assert!(Parity::read(&mut &many.block().unwrap()[..]).is_err());
    }

    #[test]
    fn stripes_keep_within_memory_and_are_whole_blocks_of_the_code() {
        let stripe = |parts, split_bytes, count| {
            let size_bytes = parts * split_bytes;
            Parity::stripe_bytes(&WholeFile { size_bytes, split_bytes, ..whole() }, count)
        };
        assert_eq!(stripe(8, 4 << 30, 2), 1 << 20);
        assert_eq!(stripe(4000, 4 << 30, 96), 16 << 10);
        assert_eq!(stripe(2, 128, 1), 128);
    }
}
