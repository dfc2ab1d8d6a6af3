//! Unpacking xz with little memory.
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use std::io::{self, BufRead};

/// Four times as much as `xz -9` asks for; an archive may ask for 4 GiB.
const MEMORY_BYTES: u64 = 256 << 20;

/// Reads what was packed, of all streams that the input holds.
pub(crate) fn decoder<R: BufRead>(input: R) -> io::Result<XzDecoder<R>> {
    let stream = Stream::new_stream_decoder(MEMORY_BYTES, CONCATENATED)?;
    Ok(XzDecoder::new_stream(input, stream))
}
