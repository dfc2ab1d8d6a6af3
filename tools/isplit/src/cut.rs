//! One read of the source: its parts written and hashed, and the whole hashed beside them.
use crate::source::Source;
use crate::target::Target;
use part::{Chunk, DESCRIPTION_BYTES, Digester, Part, WholeFile};
use std::io::Write;
use tool::Failure;

/// sha256 of nothing is what comes before the first part; a part's own, and of all up to its end.
struct Digests {
    part: String,
    after: String,
}

/// What two threads hash while this one reads and writes.
struct HashThreads {
    part: Digester,
    whole: Digester,
    bar: indicatif::ProgressBar,
}

/// Write the parts where they wait to be published. Their descriptions come last: only then is all known.
pub(crate) fn cut(
    source: &mut Source,
    target: &Target,
    split_bytes: u64,
) -> Result<(WholeFile, Vec<Part>), Failure> {
    let start = || {
        let started = Digester::start();
        started.map_err(|error| tool::thread::refused(&error))
    };
    let bar = tool::bytes_bar(&format!("splitting {}", source.name), source.size_bytes.unwrap_or(0));
    let lanes = HashThreads { part: start()?, whole: start()?, bar };
    let nothing = lanes.whole.digest();
    let (mut parts, mut size_bytes) = (Vec::new(), 0);
    let mut chunk = source.next(split_bytes)?;
    loop {
        let (digests, length) = one_part(source, target, &lanes, (parts.len() + 1, chunk, split_bytes))?;
        parts.push(digests);
        size_bytes += length;
        chunk = source.next(split_bytes)?;
        if chunk.bytes().is_empty() {
            break;
        }
    }
    lanes.bar.finish_and_clear();
    let sha256 = lanes.whole.digest();
    let whole = WholeFile { name: source.name.clone(), size_bytes, sha256, split_bytes };
    let mut before = nothing;
    let describe = |(number, digests): (usize, Digests)| {
        let start = std::mem::replace(&mut before, digests.after.clone());
        Part::new(whole.clone(), number as u64 + 1, [digests.part, start, digests.after])
    };
    let parts = parts.into_iter().enumerate().map(describe).collect();
    Ok((whole, parts))
}

/// One part from its first chunk on: its digests and its size.
fn one_part(
    source: &mut Source,
    target: &Target,
    lanes: &HashThreads,
    (number, first, split_bytes): (usize, Chunk, u64),
) -> Result<(Digests, u64), Failure> {
    let cannot = |error: &std::io::Error| target.cannot_write(number as u64, error);
    let mut file = target.create(number as u64)?;
    file.write_all(&[0; DESCRIPTION_BYTES]).map_err(|error| cannot(&error))?;
    let (mut chunk, mut length) = (first, 0);
    while !chunk.bytes().is_empty() {
        lanes.part.feed(&chunk);
        lanes.whole.feed(&chunk);
        file.write_all(chunk.bytes()).map_err(|error| cannot(&error))?;
        length += chunk.bytes().len() as u64;
        lanes.bar.inc(chunk.bytes().len() as u64);
        if length == split_bytes {
            break;
        }
        chunk = source.next(split_bytes - length)?;
    }
    // What is written to a stick is there when the bar says so.
    file.sync_data().map_err(|error| cannot(&error))?;
    let digests = Digests { part: lanes.part.digest(), after: lanes.whole.digest() };
    lanes.part.restart();
    Ok((digests, length))
}
