//! All parts in order, read once: written on as long as all is right, and after that only checked.
//!
//! One digest runs over the whole. At each part's end it must be what the part's description says, so what a file holds by
//! then is right; if it is not, file and digest go back to the part's beginning.
use crate::set::{Candidate, PartError, Problem, Set};
use crate::staging::Staging;
use part::{Chunks, Digester, Part};
use std::fs::File;
use tool::Failure;

/// One walk.
pub(crate) struct Walk<'a> {
    pub(crate) set: &'a Set,
    /// Has taken in the parts that are not walked over, and accepted them.
    pub(crate) digester: Digester,
    pub(crate) sink: Option<&'a Staging>,
    pub(crate) bar: indicatif::ProgressBar,
}

impl Walk<'_> {
    /// Every part after the first `held`: what is bad or missing.
    pub(crate) fn run(self, held: u64) -> Result<Vec<Problem>, Failure> {
        let (mut problems, mut next, mut chunks) = (Vec::new(), held + 1, Chunks::default());
        for (&index, candidates) in self.set.parts.range(held + 1..) {
            if index > next {
                problems.push(self.set.missing(next, index - 1));
            }
            next = index + 1;
            let whole = problems.is_empty();
            problems.extend(self.one(index, candidates, (whole, &mut chunks))?);
        }
        if next <= self.set.whole.count() {
            problems.push(self.set.missing(next, self.set.whole.count()));
        }
        self.bar.finish_and_clear();
        Ok(problems)
    }

    /// The first good copy of a part counts.
    fn one(
        &self,
        index: u64,
        candidates: &[Candidate],
        (whole, chunks): (bool, &mut Chunks),
    ) -> Result<Option<Problem>, Failure> {
        let mut first_bad = None;
        for candidate in candidates {
            let bad = match candidate.open() {
                Ok((file, part)) => self.copy(file, part, (whole, &mut *chunks))?.err(),
                Err(bad) => Some(bad),
            };
            let Some(bad) = bad else {
                if let Some((path, PartError { cause, .. })) = first_bad {
                    let path: &std::path::Path = path;
                    log::warn!("{} is bad, another copy of it is good: {cause}", path.display());
                }
                return Ok(None);
            };
            first_bad.get_or_insert((candidate.path.as_path(), bad));
        }
        Ok(first_bad.map(|bad| self.set.bad(index, bad)))
    }

    /// Take one file in. `whole`: everything before it is right, so the digest of the whole decides.
    fn copy(
        &self,
        mut file: File,
        part: &Part,
        (whole, chunks): (bool, &mut Chunks),
    ) -> Result<Result<(), PartError>, Failure> {
        let sink = self.sink.filter(|_| whole);
        if !whole {
            self.digester.restart();
        }
        let mut left = part.size_bytes;
        let mut bad = None;
        while left > 0 {
            let chunk = match chunks.read(&mut file, left) {
                Ok(chunk) if !chunk.bytes().is_empty() => chunk,
                Ok(_) => {
                    bad = Some(PartError::new("it became shorter while it was read"));
                    break;
                }
                Err(error) => {
                    bad = Some(PartError::io(&error));
                    break;
                }
            };
            self.digester.feed(&chunk);
            if let Some(sink) = sink {
                sink.write(chunk.bytes())?;
            }
            left -= chunk.bytes().len() as u64;
            self.bar.inc(chunk.bytes().len() as u64);
        }
        let expected = if whole { &part.after_sha256 } else { &part.sha256 };
        let differs = || PartError::new("its data do not have its sha256");
        let bad = bad.or_else(|| (self.digester.digest() != *expected).then(differs));
        match bad {
            None => self.digester.accept(),
            Some(_) => {
                self.digester.rewind();
                self.bar.set_position(self.bar.position().saturating_sub(part.size_bytes - left));
                if let Some(sink) = sink {
                    sink.truncate_to(self.set.whole.offset_of(part.index))?;
                }
            }
        }
        Ok(bad.map_or(Ok(()), Err))
    }
}
