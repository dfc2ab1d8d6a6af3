//! The self-extracting script that pixi-pack makes, read and never run: a header up to a marker, an empty line, the tar in
//! base64 on one line, a marker, pixi-unpack in base64.
//!
//! The script itself decodes by reading that line into memory several times over; here it streams.
use base64::DecodeError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, BufRead, Read};

/// The header ends within so many bytes: that of pixi-pack has some 2 KiB.
pub const HEADER_CEILING: u64 = 1 << 20;
const HEADER_MARK: &[u8] = b"@@END_HEADER@@\n";
const ARCHIVE_MARK: &[u8] = b"\n@@END_ARCHIVE@@\n";

/// A script, which reads as the tar in it, and after [`Script::program`] as the pixi-unpack.
#[derive(Debug)]
pub struct Script<R> {
    input: R,
    text: Text,
    decoded: Vec<u8>,
    /// How much of that was taken.
    taken: usize,
}

/// base64 on one line, decoded piece by piece.
#[derive(Debug, Default)]
struct Text {
    /// Where in the file the text that is not decoded yet begins.
    at: u64,
    /// Less than four bytes that wait for the rest of their group.
    rest: Vec<u8>,
    /// Something was decoded.
    begun: bool,
    /// Padding was seen: that was all.
    padded: bool,
}

impl<R: BufRead> Script<R> {
    /// Read the header; `None` where it does not end as pixi-pack's does.
    ///
    /// # Errors
    /// The reader's.
    pub fn begin(mut input: R) -> io::Result<Option<Self>> {
        let (mut at, mut line) = (0, Vec::new());
        while line != HEADER_MARK {
            line.clear();
            let read = (&mut input).take(HEADER_CEILING - at).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            at += read as u64;
        }
        // The empty line.
        if input.fill_buf()?.first() == Some(&b'\n') {
            input.consume(1);
            at += 1;
        }
        Ok(Some(Self { input, text: Text { at, ..Text::default() }, decoded: Vec::new(), taken: 0 }))
    }

    /// The tar was read to its end: go on to the program.
    ///
    /// # Errors
    /// The script ends here, or something else than a program follows.
    pub fn program(&mut self) -> io::Result<()> {
        let mut mark = [0; ARCHIVE_MARK.len()];
        self.input.read_exact(&mut mark)?;
        if mark != ARCHIVE_MARK {
            return Err(malformed(self.text.at, "the line @@END_ARCHIVE@@ should be here"));
        }
        self.text = Text { at: self.text.at + mark.len() as u64, ..Text::default() };
        Ok(())
    }

    /// The program was read to its end: see that it is that of the script, too.
    ///
    /// # Errors
    /// There was no program, or something follows it.
    pub fn end(mut self) -> io::Result<()> {
        if !self.text.begun {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // An editor may have put a line end there.
        let rest = io::copy(&mut self.input.by_ref().take(2), &mut io::sink())?;
        if rest > 1 { Err(malformed(self.text.at + 1, "nothing should be here")) } else { Ok(()) }
    }
}

impl<R: BufRead> BufRead for Script<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.decoded.len() {
            let bytes = self.input.fill_buf()?;
            let length = line_length(bytes)?;
            self.decoded.clear();
            self.taken = 0;
            if length == 0 {
                self.text.check_complete()?;
                break;
            }
            self.text.decode(&bytes[..length], &mut self.decoded)?;
            self.input.consume(length);
        }
        Ok(&self.decoded[self.taken..])
    }

    fn consume(&mut self, length: usize) {
        self.taken += length;
    }
}

impl<R: BufRead> Read for Script<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl Text {
    fn decode(&mut self, bytes: &[u8], decoded: &mut Vec<u8>) -> io::Result<()> {
        self.begun = true;
        // The group that was cut in two, then all that are whole.
        let missing = (4 - self.rest.len()) % 4;
        let (first, bytes) = bytes.split_at(missing.min(bytes.len()));
        self.rest.extend_from_slice(first);
        if self.rest.len() == 4 {
            let group = std::mem::take(&mut self.rest);
            self.groups(&group, decoded)?;
        }
        let (whole, rest) = bytes.split_at(bytes.len() / 4 * 4);
        self.groups(whole, decoded)?;
        self.rest.extend_from_slice(rest);
        Ok(())
    }

    fn groups(&mut self, text: &[u8], decoded: &mut Vec<u8>) -> io::Result<()> {
        if self.padded && !text.is_empty() {
            return Err(malformed(self.at, "nothing should be here after the padding"));
        }
        STANDARD.decode_vec(text, decoded).map_err(|error| {
            let (offset, what) = match error {
                DecodeError::InvalidByte(offset, byte) => {
                    (offset, format!("{:?} is not base64", char::from(byte)))
                }
                DecodeError::InvalidLastSymbol { offset, .. } => {
                    (offset, "the last group is not base64".to_owned())
                }
                other => (0, other.to_string()),
            };
            malformed(self.at + offset as u64, &what)
        })?;
        self.padded |= text.ends_with(b"=");
        self.at += text.len() as u64;
        Ok(())
    }

    fn check_complete(&self) -> io::Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(malformed(self.at, "a group of four is cut short")) }
    }
}

/// How much of it is before the line's end. The standard library's search is the fast one.
fn line_length(bytes: &[u8]) -> io::Result<usize> {
    let length = (&mut &*bytes).skip_until(b'\n')?;
    Ok(if bytes[..length].ends_with(b"\n") { length - 1 } else { length })
}

fn malformed(at: u64, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("byte {at}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    const HEADER: &str = "#!/bin/sh\n@@END_HEADER@@\n\n";

    /// Decode what follows a header with buffers of this size.
    fn decoded(text: &[u8], capacity: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
        let whole = [HEADER.as_bytes(), text].concat();
        let both = || -> io::Result<_> {
            let (mut tar, mut program) = (Vec::new(), Vec::new());
            let mut script = Script::begin(BufReader::with_capacity(capacity, &*whole))?.unwrap();
            script.read_to_end(&mut tar)?;
            script.program()?;
            script.read_to_end(&mut program)?;
            script.end()?;
            Ok((tar, program))
        };
        both().map_err(|error| error.to_string())
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
            "byte 1396: nothing should be here"
        );
    }

    #[test]
    fn noise_is_named_by_its_place() {
        for (text, cause) in [
            ("AAAA!AAA\n@@END_ARCHIVE@@\nAAAA", "byte 30: '!' is not base64"),
            ("AAAA\r\n@@END_ARCHIVE@@\nAAAA", "byte 30: a group of four is cut short"),
            ("AAAAA\n@@END_ARCHIVE@@\nAAAA", "byte 30: a group of four is cut short"),
            ("AA==AAAA\n@@END_ARCHIVE@@\nAAAA", "byte 30: nothing should be here after the padding"),
            ("AAAA\nAAAAAAAAAAAAAAAAAAAAAA", "byte 30: the line @@END_ARCHIVE@@ should be here"),
        ] {
            // Pieces of four: padding ends one of them. Pieces of three: a group is cut in two.
            for capacity in [4, 3] {
                assert_eq!(decoded(text.as_bytes(), capacity).unwrap_err(), cause, "{text}");
            }
        }
        for text in ["", "AAAA", "AAAA\n", "AAAA\n@@END_ARCHIVE@@", "AAAA\n@@END_ARCHIVE@@\n"] {
            let error = io::Error::from(io::ErrorKind::UnexpectedEof).to_string();
            let cause = decoded(text.as_bytes(), 64).unwrap_err();
            assert!(cause == error || cause == "failed to fill whole buffer", "{text}: {cause}");
        }
    }

    #[test]
    fn the_payload_begins_after_the_marker_and_an_empty_line() {
        let place = |text: &[u8]| Script::begin(text).unwrap().map(|script| script.text.at);
        assert_eq!(place(b"#!/bin/sh\n@@END_HEADER@@\n\nAAAA"), Some(26));
        assert_eq!(place(b"#!/bin/sh\n@@END_HEADER@@\nAAAA"), Some(25));
        assert_eq!(place(b"#!/bin/sh\ngrep @@END_HEADER@@\n"), None);
        let late = [vec![b'\n'; 2 << 20], b"@@END_HEADER@@\n".to_vec()].concat();
        assert_eq!((place(&late), place(&vec![b'x'; 2 << 20])), (None, None));
    }
}
