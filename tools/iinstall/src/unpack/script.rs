//! The self-extracting script that pixi-pack makes, read and never run: a header up to a marker, an empty line, the tar in
//! base64 on one line, a marker, pixi-unpack in base64.
//!
//! The script itself decodes by reading that line into memory several times over; here it streams.
use crate::unpack::Trouble;
use crate::unpack::zip::At;
use base64::DecodeError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

const HEADER_MARK: &[u8] = b"@@END_HEADER@@\n";
const ARCHIVE_MARK: &[u8] = b"@@END_ARCHIVE@@\n";
/// The header that pixi-pack writes has some 2 KiB.
pub(super) const HEADER_CEILING: u64 = 1 << 20;

/// Where the payload begins; `None` where the script has no such marker where it should be.
pub(crate) fn payload(file: &File) -> Result<Option<u64>, Trouble> {
    let start = At { file, position: 0, size: 0 };
    let mut input = BufReader::new(start.take(HEADER_CEILING + 1));
    let (mut at, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line).map_err(|error| Trouble::reading(&error))?;
        at += read as u64;
        if read == 0 || at > HEADER_CEILING {
            return Ok(None);
        }
        if line == HEADER_MARK {
            break;
        }
    }
    // The empty line.
    let next = input.fill_buf().map_err(|error| Trouble::reading(&error))?;
    Ok(Some(at + u64::from(next.first() == Some(&b'\n'))))
}

/// Decode both parts of a script, `input` being at `at`, where the payload begins. False once nobody wants more.
pub(super) fn decode(
    input: &mut impl BufRead,
    at: u64,
    mut archive: impl FnMut(Vec<u8>) -> bool,
    mut program: impl FnMut(Vec<u8>) -> io::Result<()>,
) -> io::Result<bool> {
    let mut text = Text { at, ..Text::default() };
    if !text.line(input, |bytes| Ok(archive(bytes)))? {
        return Ok(false);
    }
    let mut mark = vec![0; ARCHIVE_MARK.len() + 1];
    input.read_exact(&mut mark)?;
    if mark[0] != b'\n' || mark[1..] != *ARCHIVE_MARK {
        return Err(noise(text.at, "the line @@END_ARCHIVE@@ should be here"));
    }
    let mut text = Text { at: text.at + mark.len() as u64, ..Text::default() };
    text.line(input, |bytes| program(bytes).map(|()| true))?;
    // An editor may have put a line end there.
    if text.read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rest = io::copy(&mut input.take(2), &mut io::sink())?;
    if rest > 1 { Err(noise(text.at + 1, "nothing should be here")) } else { Ok(true) }
}

/// base64 on one line, decoded piece by piece.
#[derive(Default)]
struct Text {
    /// Where in the file the text that is not decoded yet begins.
    at: u64,
    /// Bytes of text that were read.
    read: u64,
    /// Less than four bytes that wait for the rest of their group.
    rest: Vec<u8>,
    /// Padding was seen: that was all.
    padded: bool,
}

impl Text {
    /// Up to the line's end, which is left, or the file's. False once nobody wants more.
    fn line(
        &mut self,
        input: &mut impl BufRead,
        mut sink: impl FnMut(Vec<u8>) -> io::Result<bool>,
    ) -> io::Result<bool> {
        loop {
            let bytes = input.fill_buf()?;
            let length = line_length(bytes)?;
            if length == 0 {
                break;
            }
            let decoded = self.decode(&bytes[..length])?;
            input.consume(length);
            if !decoded.is_empty() && !sink(decoded)? {
                return Ok(false);
            }
        }
        if self.rest.is_empty() { Ok(true) } else { Err(noise(self.at, "a group of four is cut short")) }
    }

    fn decode(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.read += bytes.len() as u64;
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(bytes);
        self.rest = text.split_off(text.len() / 4 * 4);
        if self.padded && !(text.is_empty() && self.rest.is_empty()) {
            return Err(noise(self.at, "nothing should be here after the padding"));
        }
        let decoded = STANDARD.decode(&text).map_err(|error| {
            let (offset, what) = match error {
                DecodeError::InvalidByte(offset, byte) => {
                    (offset, format!("{:?} is not base64", char::from(byte)))
                }
                DecodeError::InvalidLastSymbol(offset, _) => {
                    (offset, "the last group is not base64".to_owned())
                }
                other => (0, other.to_string()),
            };
            noise(self.at + offset as u64, &what)
        })?;
        self.padded |= text.ends_with(b"=");
        self.at += text.len() as u64;
        Ok(decoded)
    }
}

/// How much of it is before the line's end. The standard library's search is the fast one.
fn line_length(bytes: &[u8]) -> io::Result<usize> {
    let length = (&mut &*bytes).skip_until(b'\n')?;
    Ok(if bytes[..length].ends_with(b"\n") { length - 1 } else { length })
}

fn noise(at: u64, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("byte {at}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decode with buffers of this size.
    fn decoded(text: &[u8], capacity: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
        let (mut tar, mut program) = (Vec::new(), Vec::new());
        let mut input = BufReader::with_capacity(capacity, text);
        let archive = |bytes: Vec<u8>| {
            tar.extend(bytes);
            true
        };
        let extend = |bytes: Vec<u8>| {
            program.extend(bytes);
            Ok(())
        };
        decode(&mut input, 100, archive, extend).map_err(|error| error.to_string())?;
        Ok((tar, program))
    }

    #[test]
    fn both_parts_are_decoded_whatever_the_pieces() {
        let (tar, program): (Vec<u8>, &[u8]) = ((0..=255).cycle().take(1000).collect(), b"#!/bin/sh\n");
        let text =
            format!("{}\n@@END_ARCHIVE@@\n{}", STANDARD.encode(&tar), STANDARD.encode(program)).into_bytes();
        for capacity in [1, 2, 3, 5, 64, 4096] {
            assert_eq!(decoded(&text, capacity), Ok((tar.clone(), program.to_vec())), "{capacity}");
        }
        assert!(decoded(&[&text[..], b"\n"].concat(), 64).is_ok());
        assert_eq!(
            decoded(&[&text[..], b"\nx"].concat(), 64).unwrap_err(),
            "byte 1470: nothing should be here"
        );
    }

    #[test]
    fn noise_is_named_by_its_place() {
        for (text, cause) in [
            ("AAAA!AAA\n@@END_ARCHIVE@@\nAAAA", "byte 104: '!' is not base64"),
            ("AAAA\r\n@@END_ARCHIVE@@\nAAAA", "byte 104: a group of four is cut short"),
            ("AAAAA\n@@END_ARCHIVE@@\nAAAA", "byte 104: a group of four is cut short"),
            ("AA==AAAA\n@@END_ARCHIVE@@\nAAAA", "byte 104: nothing should be here after the padding"),
            ("AAAA\nAAAAAAAAAAAAAAAAAAAAAA", "byte 104: the line @@END_ARCHIVE@@ should be here"),
        ] {
            // Pieces of four: padding ends one of them.
            assert_eq!(decoded(text.as_bytes(), 4).unwrap_err(), cause, "{text}");
        }
        for text in ["", "AAAA", "AAAA\n", "AAAA\n@@END_ARCHIVE@@", "AAAA\n@@END_ARCHIVE@@\n"] {
            let error = io::Error::from(io::ErrorKind::UnexpectedEof).to_string();
            let cause = decoded(text.as_bytes(), 64).unwrap_err();
            assert!(cause == error || cause == "failed to fill whole buffer", "{text}: {cause}");
        }
    }

    #[test]
    fn the_payload_begins_after_the_marker_and_an_empty_line() {
        let place = |text: &[u8]| {
            let mut file = tempfile();
            io::Write::write_all(&mut file, text).unwrap();
            payload(&file)
        };
        assert_eq!(place(b"#!/bin/sh\n@@END_HEADER@@\n\nAAAA").unwrap(), Some(26));
        assert_eq!(place(b"#!/bin/sh\n@@END_HEADER@@\nAAAA").unwrap(), Some(25));
        assert_eq!(place(b"#!/bin/sh\ngrep @@END_HEADER@@\n").unwrap(), None);
        let late = [vec![b'\n'; 2 << 20], b"@@END_HEADER@@\n".to_vec()].concat();
        assert_eq!((place(&late).unwrap(), place(&vec![b'x'; 2 << 20]).unwrap()), (None, None));
    }

    fn tempfile() -> File {
        rustix::fs::memfd_create("script", rustix::fs::MemfdFlags::CLOEXEC).unwrap().into()
    }
}
