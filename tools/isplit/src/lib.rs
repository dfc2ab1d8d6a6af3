//! isplit: cut a large file into checked parts for physical media.
//!
//! Reads a file, or standard input. Writes the parts into a folder, and no records: one line on standard error says what
//! was made.
#![expect(clippy::disallowed_methods, reason = "acts as its caller, on the caller's own files")]
mod cut;
mod parity;
mod parity_limit;
mod size;
mod source;
mod target;

use crate::source::Source;
use crate::target::Target;
use clap::Parser;
use part::DESCRIPTION_BYTES;
use std::path::PathBuf;
use tool::Failure;

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// The file to split [default: standard input]
    file: Option<PathBuf>,

    /// Each part's file is smaller than this, as in 4GiB or 700MB
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = size::parse)]
    size: u64,

    /// Folder that the parts go to
    #[arg(short, long, value_name = "DIR")]
    directory: PathBuf,

    /// Make N parity parts too: as many parts may then be lost or bad, whichever
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u64).range(0..=255))]
    parity: u64,

    /// Name of the whole [default: that of FILE]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main_process(run)
}

fn run(Args { file, size, directory, parity, name }: Args) -> Result<u8, Failure> {
    let mut source = Source::open(file.as_deref(), name)?;
    let split_bytes = split_of(size);
    log::info!("cuts {} into parts with {split_bytes} bytes of it each", source.name);
    let target = Target::open(&directory, &source.name)?;
    target.admit(source.size_bytes, split_bytes, parity)?;
    let folder = directory.display();
    log::info!("{folder} takes them; writes, hashes, and gives the names when all are there");
    let (whole, parts) = cut::cut(&mut source, &target, split_bytes)?;
    let parities = if parity == 0 { Vec::new() } else { parity::write(&target, &whole, &parts, parity)? };
    target.publish(&whole, &parts, &parities)?;
    let (name, sha256, made) = (&whole.name, &whole.sha256, parts.len());
    let parts = if made == 1 { "1 part".to_owned() } else { format!("{made} parts") };
    let parts = if parity == 0 { parts } else { format!("{parts} and {parity} of parity") };
    tool::note(
        "isplit",
        &format!("{parts} of {name} in {}, sha256 of the whole {sha256}", directory.display()),
    );
    Ok(0)
}

/// Bytes of the whole in each part, so that its file, description and all, is smaller than `size` and whole blocks. Thus
/// parts of 4 GiB fit on FAT32, whose files are smaller than that.
fn split_of(size: u64) -> u64 {
    let block = DESCRIPTION_BYTES as u64;
    (size - 1) / block * block - block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parts_file_is_smaller_than_asked_for() {
        for size in [size::SMALLEST, 12_287, 12_288, 12_289, 4_000_000_000, 4 << 30] {
            let file = split_of(size) + DESCRIPTION_BYTES as u64;
            assert!(split_of(size) > 0 && file < size && file + 4096 >= size, "{size}");
        }
    }
}
