//! The bytes of a GGUF header, one after the other, never more than there are.
use crate::header::HEADER_BYTES;
use std::fs::File;
use std::io::{BufReader, Read};

/// Numbers of the types of values.
/// Source: github.com/ggml-org/ggml, `docs/gguf.md`.
pub(crate) const U16: u32 = 2;
pub(crate) const U32: u32 = 4;
pub(crate) const I32: u32 = 5;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Longer texts are passed over.
const TEXT_BYTES: u64 = 4096;
/// Longer lists are passed over: one number for each layer is kept.
const LIST_LENGTH: u64 = 4096;

/// A value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A whole number or a flag, with the number of its type.
    Number(u64, u32),
    /// A text.
    Text(String),
    /// A list of whole numbers.
    Numbers(Vec<u64>),
    /// Anything else.
    Other,
}

/// A header's bytes.
pub(crate) struct Reader<'f> {
    input: BufReader<&'f File>,
    position: u64,
    size: u64,
}

impl<'f> Reader<'f> {
    pub(crate) fn new(file: &'f File, size: u64) -> Self {
        Self { input: BufReader::with_capacity(1 << 18, file), position: 0, size }
    }

    /// How much was read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, String> {
        self.advance(count)?;
        let mut bytes = Vec::new();
        (&mut self.input).take(count).read_to_end(&mut bytes).map_err(|error| failure::io_text(&error))?;
        if (bytes.len() as u64) < count { Err(self.cut_off()) } else { Ok(bytes) }
    }

    /// A text that is short enough to be a name; what is longer is passed over, and its beginning returned.
    pub(crate) fn text(&mut self) -> Result<String, String> {
        let length = self.u64()?;
        let kept = length.min(TEXT_BYTES);
        let bytes = self.bytes(kept)?;
        self.skip(length - kept)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The value of a key; `None` where it is not asked for.
    pub(crate) fn value(&mut self, key: &str, wanted: bool) -> Result<Option<Value>, String> {
        let kind = self.u32()?;
        let value = match kind {
            TEXT => Value::Text(self.text()?),
            ARRAY => self.list(key, wanted)?,
            _ => {
                let width = width(kind).ok_or_else(|| wrong_type(key, kind))?;
                let bytes = self.bytes(width)?;
                unsigned(kind, &bytes).map_or(Value::Other, |number| Value::Number(number, kind))
            }
        };
        Ok(wanted.then_some(value))
    }

    fn list(&mut self, key: &str, wanted: bool) -> Result<Value, String> {
        let (kind, length) = (self.u32()?, self.u64()?);
        if kind == TEXT {
            for _ in 0..length {
                let bytes = self.u64()?;
                self.skip(bytes)?;
            }
            return Ok(Value::Other);
        }
        let width = width(kind).ok_or_else(|| wrong_type(key, kind))?;
        if !wanted || length > LIST_LENGTH {
            self.skip(length.checked_mul(width).ok_or_else(|| self.cut_off())?)?;
            return Ok(Value::Other);
        }
        let mut numbers = Vec::new();
        for _ in 0..length {
            let bytes = self.bytes(width)?;
            numbers.extend(unsigned(kind, &bytes));
        }
        Ok(Value::Numbers(numbers))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.advance(N as u64)?;
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|_| self.cut_off())?;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<(), String> {
        self.advance(count)?;
        let count = i64::try_from(count).map_err(|_| self.cut_off())?;
        self.input.seek_relative(count).map_err(|error| failure::io_text(&error))
    }

    fn advance(&mut self, count: u64) -> Result<(), String> {
        let position = self.position.checked_add(count).filter(|position| *position <= self.size);
        self.position = position.ok_or_else(|| self.cut_off())?;
        if self.position > HEADER_BYTES {
            return Err(format!("its header is longer than {HEADER_BYTES} bytes"));
        }
        Ok(())
    }

    fn cut_off(&self) -> String {
        format!("it ends within its header, or its header is damaged: it has {} bytes", self.size)
    }
}

fn wrong_type(key: &str, kind: u32) -> String {
    format!("its header is damaged: {key} is of the type {kind}, which there is not")
}

/// The bytes of a number's type.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A whole number that is not negative.
fn unsigned(kind: u32, bytes: &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let number = u64::from_le_bytes(wide);
    let bits = u32::try_from(bytes.len() * 8).ok()?;
    match kind {
        0 | 2 | 4 | 7 | 10 => Some(number),
        1 | 3 | I32 | 11 if number >> (bits - 1) == 0 => Some(number),
        _ => None,
    }
}
