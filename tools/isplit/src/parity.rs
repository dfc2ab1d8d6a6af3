//! Parity parts, computed from the parts once these are written.
use crate::parity_limit::admit;
use crate::target::Target;
use part::{DESCRIPTION_BYTES, Hasher, Parity, Part, WholeFile};
use reed_solomon_simd::ReedSolomonEncoder;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use tool::{Code, Failure};

/// Write `count` parity parts where the parts wait to be published.
pub(crate) fn write(
    target: &Target,
    whole: &WholeFile,
    parts: &[Part],
    count: u64,
) -> Result<Vec<Parity>, Failure> {
    admit(whole, count)?;
    let shard_bytes = Parity::shard_bytes(whole);
    let mut sources = Vec::new();
    for part in parts {
        let file = target.reopen(part.index)?;
        sources.push((file, part));
    }
    let table = Parity::table(parts);
    let mut outputs = Vec::new();
    for index in 1..=count {
        let mut file = target.create_parity(index)?;
        let cannot = |error: io::Error| target.cannot_write_parity(index, &error);
        file.seek(SeekFrom::Start(DESCRIPTION_BYTES as u64)).map_err(cannot)?;
        file.write_all(&table).map_err(cannot)?;
        file.seek(SeekFrom::Start(Parity::data_offset(whole))).map_err(cannot)?;
        outputs.push((file, Hasher::default()));
    }
    let bar = tool::bytes_bar(&format!("computing {count} parity parts"), shard_bytes);
    let (mut offset, stripe) = (0, Parity::stripe_bytes(whole, count));
    while offset < shard_bytes {
        let length = stripe.min(shard_bytes - offset);
        encode(target, &sources, &mut outputs, (offset, length))?;
        offset += length;
        bar.inc(length);
    }
    bar.finish_and_clear();
    let mut hasher = Hasher::default();
    hasher.feed(&table);
    let mut parities = Vec::new();
    for (index, (file, shard)) in (1..).zip(outputs) {
        file.sync_data().map_err(|error| target.cannot_write_parity(index, &error))?;
        parities.push(Parity::new(whole.clone(), (index, count), [hasher.digest(), shard.digest()]));
    }
    Ok(parities)
}

/// The same stripe of all parity parts, from that of all parts.
fn encode(
    target: &Target,
    sources: &[(File, &Part)],
    outputs: &mut [(File, Hasher)],
    (offset, length): (u64, u64),
) -> Result<(), Failure> {
    let mut buffer = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let refused = |error: reed_solomon_simd::Error| {
        Failure::new(Code::Unmet, "cannot compute parity", error.to_string())
    };
    let mut encoder = ReedSolomonEncoder::new(sources.len(), outputs.len(), buffer.len()).map_err(refused)?;
    for (file, part) in sources {
        buffer.fill(0);
        let there =
            usize::try_from(part.size_bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..there], DESCRIPTION_BYTES as u64 + offset)
            .map_err(|error| target.cannot_read(part.index, &error))?;
        encoder.add_original_shard(&buffer).map_err(refused)?;
    }
    let encoded = encoder.encode().map_err(refused)?;
    for (index, (bytes, (file, hasher))) in (1..).zip(encoded.recovery_iter().zip(outputs)) {
        hasher.feed(bytes);
        file.write_all(bytes).map_err(|error| target.cannot_write_parity(index, &error))?;
    }
    Ok(())
}
