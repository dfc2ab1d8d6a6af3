//! Symbol versions, as the dynamic loader compares them: which ones a file needs of each library, which ones it defines.
//!
//! A library that lacks a needed one, as an older C library does, keeps the program from starting.
use object::elf::{VER_FLG_WEAK, Verdaux, Verdef, Vernaux, Verneed};
use object::{Endianness, Pod, ReadRef};

/// More than any library has: an end for tables that lead in circles.
const MOST: u64 = 4096;

/// A version that a file needs of a library, `GLIBC_2.38` of `libc.so.6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededVersion {
    /// The library's name.
    pub library: String,
    /// The version's name.
    pub version: String,
}

/// The file, and how its numbers are written.
#[derive(Clone, Copy)]
pub(super) struct Tables<R> {
    pub(super) data: R,
    pub(super) endian: Endianness,
}

impl<'a, R: ReadRef<'a>> Tables<R> {
    /// The `count` entries at `place` in the file (`DT_VERNEED`, `DT_VERNEEDNUM`); those that may be missing are left out.
    pub(super) fn needed(self, place: u64, count: u64, text: &impl Fn(u64) -> String) -> Vec<NeededVersion> {
        let mut needed = Vec::new();
        for (at, need) in self.chain(place, count, |need: &Verneed<Endianness>| need.vn_next.get(self.endian))
        {
            let library = text(need.vn_file.get(self.endian).into());
            let first = at.saturating_add(need.vn_aux.get(self.endian).into());
            let count = need.vn_cnt.get(self.endian).into();
            for (_, aux) in
                self.chain(first, count, |aux: &Vernaux<Endianness>| aux.vna_next.get(self.endian))
            {
                if !aux.vna_flags.get(self.endian).contains(VER_FLG_WEAK) {
                    let version = text(aux.vna_name.get(self.endian).into());
                    needed.push(NeededVersion { library: library.clone(), version });
                }
            }
        }
        needed
    }

    /// The `count` entries at `place` in the file (`DT_VERDEF`, `DT_VERDEFNUM`): the first name of each, later ones are its parents.
    pub(super) fn defined(self, place: u64, count: u64, text: &impl Fn(u64) -> String) -> Vec<String> {
        let name = |(at, definition): (u64, &Verdef<Endianness>)| {
            let first = at.saturating_add(definition.vd_aux.get(self.endian).into());
            let aux: &Verdaux<Endianness> = self.data.read_at(first).ok()?;
            Some(text(aux.vda_name.get(self.endian).into()))
        };
        let next = |definition: &Verdef<Endianness>| definition.vd_next.get(self.endian);
        self.chain(place, count, next).into_iter().filter_map(name).collect()
    }

    /// Entries that each say how many bytes on the next one is, and where they are; 0 is the end.
    fn chain<T: Pod>(self, place: u64, count: u64, next: impl Fn(&T) -> u32) -> Vec<(u64, &'a T)> {
        let mut found = Vec::new();
        let mut at = place;
        for _ in 0..count.min(MOST) {
            let Ok(entry) = self.data.read_at::<T>(at) else { break };
            found.push((at, entry));
            match next(entry) {
                0 => break,
                bytes => at = at.saturating_add(bytes.into()),
            }
        }
        found
    }
}

/// The highest of the same family: of `GLIBC_2.36`, `GLIBC_2.4` and `GLIBC_PRIVATE` for `GLIBC_2.38` the first.
pub(super) fn highest<'a>(defined: &'a [String], wanted: &str) -> Option<&'a str> {
    let family = wanted.rsplit_once('_')?.0;
    let number = |version: &str| -> Option<Vec<u32>> {
        let (own, number) = version.rsplit_once('_')?;
        let parts = number.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>();
        parts.filter(|_| own == family)
    };
    let numbered = defined.iter().filter_map(|version| Some((number(version)?, version.as_str())));
    numbered.max().map(|(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_within_one_family() {
        let defined = ["GLIBC_2.4", "GLIBC_2.36", "GLIBC_PRIVATE", "OTHER_9.1"].map(str::to_owned);
        assert_eq!(highest(&defined, "GLIBC_2.38"), Some("GLIBC_2.36"));
        assert_eq!(highest(&defined, "CXXABI_1.3"), None);
        assert_eq!(highest(&defined, "plain"), None);
    }
}
