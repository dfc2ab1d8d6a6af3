//! Parts that are lost or bad, rebuilt from the good ones and from parity parts.
//!
//! What is rebuilt goes to files without a name, which the system takes back whatever ends us.
use crate::set::{Candidate, PartError, Problem, Set};
use crate::stream;
use part::{CHUNK_BYTES, DESCRIPTION_BYTES, Hasher, Parity, Part};
use reed_solomon_simd::{Error, ReedSolomonDecoder};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// A parity part that is right: its bytes can be read where [`Parity::data_offset`] says.
struct GoodParity {
    file: File,
    parity: Parity,
    table: Vec<u8>,
}

/// The parity parts that are right, the most of those that were made together; every bad one is named.
fn good(set: &Set) -> Vec<GoodParity> {
    let mut by_count: BTreeMap<u64, BTreeMap<u64, GoodParity>> = BTreeMap::new();
    for (path, parity) in &set.parities {
        match read(path, parity) {
            Ok(good) => drop(by_count.entry(parity.count).or_default().insert(parity.index, good)),
            Err(bad) => {
                let (index, count) = (parity.index, parity.count);
                let text =
                    format!("parity part {index} of {count} is bad: {}: {}", path.display(), bad.cause);
                tool::note("ijoin", &text);
            }
        }
    }
    let most = by_count.into_values().max_by_key(BTreeMap::len);
    most.unwrap_or_default().into_values().collect()
}

/// The file with its table, once its digests have been found right.
fn read(path: &Path, parity: &Parity) -> Result<GoodParity, PartError> {
    let io = |error: io::Error| PartError::io(&error);
    let mut file = owner::open_file(path).map_err(io)?;
    let (length, right) = (file.metadata().map_err(io)?.len(), parity.file_bytes());
    if length != right {
        return Err(PartError::new(format!("{length} bytes, not {right}")));
    }
    let table_bytes = Parity::data_offset(&parity.whole) - DESCRIPTION_BYTES as u64;
    let mut table = Vec::new();
    file.seek(SeekFrom::Start(DESCRIPTION_BYTES as u64)).map_err(io)?;
    (&file).take(table_bytes).read_to_end(&mut table).map_err(io)?;
    // Its rows end where the zero bytes begin.
    table.truncate(table.iter().position(|byte| *byte == 0).unwrap_or(table.len()));
    let mut hasher = Hasher::default();
    hasher.feed(&table);
    if hasher.digest() != parity.table_sha256 {
        return Err(PartError::new("its table does not have its sha256"));
    }
    if stream::digest(&mut file, &mut vec![0; CHUNK_BYTES])? != parity.sha256 {
        return Err(PartError::new("its data do not have its sha256"));
    }
    Ok(GoodParity { file, parity: parity.clone(), table })
}

/// Whether the parity parts that are right suffice for these problems; what is so is said.
pub(crate) fn can(set: &Set, problems: &[Problem]) -> bool {
    let (good, lost) = (good(set).len() as u64, lost(problems));
    if lost > 0 && !set.parities.is_empty() {
        let verdict = if good >= lost { "can" } else { "cannot" };
        tool::note(
            "ijoin",
            &format!("{lost} bad or missing {verdict} be rebuilt: {good} parity parts are right"),
        );
    }
    lost <= good
}

fn lost(problems: &[Problem]) -> u64 {
    problems.iter().map(|problem| problem.count).sum()
}

/// Rebuild what is bad or missing, in `scratch`. Says whether there was enough to do it; then the set is complete.
pub(crate) fn rebuild(set: &mut Set, problems: &[Problem], scratch: &Path) -> Result<bool, Failure> {
    if set.parities.is_empty() || lost(problems) > set.parities.len() as u64 {
        return Ok(false);
    }
    let good = good(set);
    let lost: Vec<u64> =
        problems.iter().flat_map(|problem| problem.first..problem.first + problem.count).collect();
    let Some(first) = good.first().filter(|_| lost.len() <= good.len()) else { return Ok(false) };
    let mut drafts = Vec::new();
    for index in &lost {
        let part =
            first.parity.part(&first.table, *index).ok_or_else(|| cannot("the table of parity is cut"))?;
        let file = tempfile::tempfile_in(scratch).map_err(|error| cannot_write(scratch, &error))?;
        drafts.push((file, part));
    }
    let sources = sources(set, &lost)?;
    compute(&sources, &good, &drafts, scratch)?;
    for (file, part) in drafts {
        let (index, name) = (part.index, set.whole.part_name(part.index));
        log::info!("{name} is rebuilt in {}", scratch.display());
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        describe(&file, &part).map_err(|error| cannot_write(scratch, &error))?;
        let candidate = Candidate { path, part: Ok(part) };
        stream::check(&candidate, &mut vec![0; CHUNK_BYTES])
            .map_err(|bad| cannot(&format!("part {index} came out wrong: {}", bad.cause)))?;
        set.parts.insert(index, vec![candidate]);
        set.rebuilt.push(file);
    }
    for problem in problems {
        tool::note("ijoin", &format!("{}; rebuilt from parity", problem.text));
    }
    Ok(true)
}

/// The good parts, by their number from 0.
fn sources(set: &Set, lost: &[u64]) -> Result<Vec<(usize, File, u64)>, Failure> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut sources = Vec::new();
    for (index, candidates) in set.parts.iter().filter(|(index, _)| !lost.contains(index)) {
        // Of several copies one is good; of a single one that was found already.
        let mut tried =
            candidates.iter().filter(|one| candidates.len() == 1 || stream::check(one, &mut buffer).is_ok());
        let opened = tried.find_map(|candidate| candidate.open().ok());
        let (file, part) = opened.ok_or_else(|| cannot(&format!("part {index} went away")))?;
        sources.push((usize::try_from(index - 1).unwrap_or(usize::MAX), file, part.size_bytes));
    }
    Ok(sources)
}

/// All stripes of the lost parts.
fn compute(
    sources: &[(usize, File, u64)],
    good: &[GoodParity],
    drafts: &[(File, Part)],
    scratch: &Path,
) -> Result<(), Failure> {
    let Some(GoodParity { parity, .. }) = good.first() else { return Ok(()) };
    let (whole, shard_bytes) = (&parity.whole, Parity::shard_bytes(&parity.whole));
    let stripe = Parity::stripe_bytes(whole, parity.count);
    let bar = tool::bytes_bar(&format!("rebuilding {} parts", drafts.len()), shard_bytes);
    let mut offset = 0;
    while offset < shard_bytes {
        let length = stripe.min(shard_bytes - offset);
        let restored = decode((sources, good), drafts, (offset, length))?;
        for (bytes, (file, part)) in restored.iter().zip(drafts) {
            let there = usize::try_from(part.size_bytes.saturating_sub(offset))
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            file.write_all_at(&bytes[..there], DESCRIPTION_BYTES as u64 + offset)
                .map_err(|error| cannot_write(scratch, &error))?;
        }
        offset += length;
        bar.inc(length);
    }
    bar.finish_and_clear();
    Ok(())
}

/// One stripe of the lost parts, in their order.
fn decode(
    (sources, good): (&[(usize, File, u64)], &[GoodParity]),
    drafts: &[(File, Part)],
    (offset, length): (u64, u64),
) -> Result<Vec<Vec<u8>>, Failure> {
    let Some(GoodParity { parity, .. }) = good.first() else { return Ok(Vec::new()) };
    let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let refused = |error: Error| cannot(&error.to_string());
    let unread = |error: io::Error| cannot(&tool::io_text(&error));
    let mut buffer = vec![0; size(length)];
    let mut decoder = ReedSolomonDecoder::new(size(parity.whole.count()), size(parity.count), buffer.len())
        .map_err(refused)?;
    for (index, file, size_bytes) in sources {
        buffer.fill(0);
        let there = size(size_bytes.saturating_sub(offset)).min(buffer.len());
        file.read_exact_at(&mut buffer[..there], DESCRIPTION_BYTES as u64 + offset).map_err(unread)?;
        decoder.add_original_shard(*index, &buffer).map_err(refused)?;
    }
    for GoodParity { file, parity, .. } in good.iter().take(drafts.len()) {
        file.read_exact_at(&mut buffer, Parity::data_offset(&parity.whole) + offset).map_err(unread)?;
        decoder.add_recovery_shard(size(parity.index - 1), &buffer).map_err(refused)?;
    }
    let decoded = decoder.decode().map_err(refused)?;
    let restored =
        |(_, part): &(File, Part)| decoded.restored_original(size(part.index - 1)).map(<[u8]>::to_vec);
    drafts.iter().map(restored).collect::<Option<_>>().ok_or_else(|| cannot("a part was not restored"))
}

/// Write the block that begins a part.
fn describe(mut file: &File, part: &Part) -> io::Result<()> {
    file.rewind()?;
    file.write_all(&part.block().ok_or(io::ErrorKind::InvalidFilename)?)
}

fn cannot(cause: &str) -> Failure {
    let failure = Failure::new(Code::No, "cannot rebuild parts from parity", cause);
    failure.hint("bring the bad and missing parts again")
}

fn cannot_write(scratch: &Path, error: &io::Error) -> Failure {
    let failure =
        Failure::io(Code::Unmet, format!("cannot write rebuilt parts to {}", scratch.display()), error);
    failure.hint("name a folder with room for the lost parts with --scratch")
}
