//! The header of a safetensors file: eight bytes with its length, then JSON with the place of each tensor.
//!
//! What is refused is what the reference implementation refuses: github.com/huggingface/safetensors, `tensor.rs`.
use crate::header::{HEADER_BYTES, WeightsHeader, number};
use crate::report::TotalsByType;
use crate::types;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};

/// Headers up to this size are read at once, which is faster; larger ones piece by piece.
const AT_ONCE_BYTES: u64 = 8 << 20;

/// One tensor: its name's number, and where its bytes are behind the header.
#[derive(Clone, Copy, Debug)]
struct Tensor {
    name: u64,
    begin: u64,
    end: u64,
}

/// A header that could be read.
#[derive(Debug, Default)]
pub(crate) struct Header {
    /// By the number of the name.
    tensors: Vec<Tensor>,
    totals: TotalsByType,
    /// Where the bytes of the tensors begin in the file.
    data: u64,
    /// What is wrong with what it says, or with the size of the file.
    fault: Option<String>,
    /// The first tensor whose bytes do not fit its place; a later one of its name may.
    unfit: Option<String>,
}

impl WeightsHeader for Header {
    fn read(mut file: &File, size: u64) -> Result<Self, String> {
        let mut length = [0; 8];
        if size < 8 {
            return Err(match size {
                0 => "it is empty".to_owned(),
                _ => format!("it has {size} bytes, too few for a header"),
            });
        }
        file.read_exact(&mut length).map_err(|error| failure::io_text(&error))?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_BYTES {
            return Err(format!("it is no safetensors file: its header would have {length} bytes"));
        }
        if length > size - 8 {
            return Err(format!("it ends within its header: {size} of {} bytes are there", length + 8));
        }
        let limited = file.take(length);
        let parsed = if length <= AT_ONCE_BYTES {
            let mut bytes = Vec::new();
            let read = BufReader::new(limited).read_to_end(&mut bytes);
            read.map_err(|error| failure::io_text(&error))?;
            parse(&mut serde_json::Deserializer::from_slice(&bytes))
        } else {
            parse(&mut serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 20, limited)))
        };
        let mut header = parsed.map_err(|error| format!("its header is damaged: {error}"))?;
        header.data = 8 + length;
        let fault = header.check_offsets(size);
        header.fault = header.fault.take().or(fault);
        Ok(header)
    }

    fn totals(&self) -> &TotalsByType {
        &self.totals
    }

    fn data(&self) -> Result<u64, &str> {
        self.fault.as_deref().map_or(Ok(self.data), Err)
    }
}

impl Header {
    /// Whether it has a tensor of this name.
    pub(crate) fn has(&self, name: u64) -> bool {
        self.tensors.binary_search_by_key(&name, |tensor| tensor.name).is_ok()
    }

    /// The numbers of all names.
    pub(crate) fn names(&self) -> impl Iterator<Item = u64> + '_ {
        self.tensors.iter().map(|tensor| tensor.name)
    }

    /// What is wrong with where the tensors are: they follow each other without a gap, and the last one ends the file.
    fn check_offsets(&mut self, size: u64) -> Option<String> {
        // Of two of one name the reader keeps the last.
        self.tensors.reverse();
        self.tensors.sort_by_key(|tensor| tensor.name);
        self.tensors.dedup_by_key(|tensor| tensor.name);
        let mut check_offsets: Vec<(u64, u64)> = self.tensors.iter().map(|it| (it.begin, it.end)).collect();
        check_offsets.sort_unstable();
        let mut end = 0;
        for place in check_offsets {
            if place.0 != end {
                let none = || format!("its header is damaged: no tensor, or two, at byte {end} of the data");
                return Some(self.unfit.take().unwrap_or_else(none));
            }
            end = place.1;
        }
        let Some(whole) = end.checked_add(self.data) else {
            return Some("its header is damaged: its tensors have no size".to_owned());
        };
        match size.cmp(&whole) {
            std::cmp::Ordering::Less => {
                Some(format!("{} bytes are missing: {size} of {whole} are there", whole - size))
            }
            std::cmp::Ordering::Greater => Some(format!(
                "{} bytes follow its last tensor: {size} are there, {whole} are right",
                size - whole
            )),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// Take a tensor in. One that does not fit its place gets one where none can be, so that it is found if it is the last of
    /// its name.
    fn add(&mut self, name: (&str, u64), tensor: &TensorEntry<'_>) {
        let (mut begin, mut end) = tensor.data_offsets;
        let damaged = |why: &str| format!("its header is damaged: the tensor {} {why}", name.0);
        if types::safetensors(&tensor.dtype).is_none() {
            let why = format!("is of the unknown type {}", tensor.dtype);
            self.fault.get_or_insert_with(|| damaged(&why));
        }
        let unfit = match tensor.bytes() {
            Ok((dtype, parameters, bytes)) if end.checked_sub(begin) == Some(bytes) => {
                self.totals.entry(dtype).or_default().add(parameters, bytes);
                None
            }
            Ok((.., bytes)) => Some(format!("has {bytes} bytes and is at {begin} to {end}")),
            Err(why) => Some(why),
        };
        if let Some(why) = unfit {
            (begin, end) = (u64::MAX, u64::MAX);
            self.unfit.get_or_insert_with(|| damaged(&why));
        }
        self.tensors.push(Tensor { name: name.1, begin, end });
    }
}

fn parse<'de, R: serde_json::de::Read<'de>>(
    input: &mut serde_json::Deserializer<R>,
) -> Result<Header, serde_json::Error> {
    let header = HeaderSeed.deserialize(&mut *input)?;
    input.end()?;
    Ok(header)
}

/// A tensor as the header describes it.
#[derive(Deserialize)]
struct TensorEntry<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: ElementCount,
    data_offsets: (u64, u64),
}

impl TensorEntry<'_> {
    /// Its type, its elements and its bytes.
    fn bytes(&self) -> Result<(&'static str, u64, u64), String> {
        let known = types::safetensors(&self.dtype);
        let (dtype, bits) = known.ok_or_else(|| format!("is of the unknown type {}", self.dtype))?;
        let too_large = || "has more bytes than there can be".to_owned();
        let elements = self.shape.0.ok_or_else(too_large)?;
        let bits = elements.checked_mul(bits).ok_or_else(too_large)?;
        if !bits.is_multiple_of(8) {
            return Err("does not end with a byte".to_owned());
        }
        Ok((dtype, elements, bits / 8))
    }
}

/// The product of a shape, which may have as many dimensions as it likes; `None` where it is too large.
struct ElementCount(Option<u64>);

impl<'de> Deserialize<'de> for ElementCount {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Product;
        impl<'de> Visitor<'de> for Product {
            type Value = ElementCount;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a shape")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut dimensions: A) -> Result<ElementCount, A::Error> {
                let mut product = Some(1_u64);
                while let Some(length) = dimensions.next_element::<u64>()? {
                    product = product.and_then(|so_far| so_far.checked_mul(length));
                }
                Ok(ElementCount(product))
            }
        }
        input.deserialize_seq(Product)
    }
}

/// The whole header, one entry after the other.
struct HeaderSeed;

impl<'de> DeserializeSeed<'de> for HeaderSeed {
    type Value = Header;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Header, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed {
    type Value = Header;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a table of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        let mut described = false;
        while let Some(name) = entries.next_key::<Cow<'de, str>>()? {
            if name == "__metadata__" {
                if described {
                    return Err(A::Error::duplicate_field("__metadata__"));
                }
                described = true;
                entries.next_value::<Option<IgnoredTable>>()?;
                continue;
            }
            let tensor: TensorEntry<'de> = entries.next_value()?;
            header.add((&name, number(&name)), &tensor);
        }
        Ok(header)
    }
}

/// A table of texts, none of which is kept.
struct IgnoredTable;

impl<'de> Deserialize<'de> for IgnoredTable {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = IgnoredTable;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a table of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<IgnoredTable, A::Error> {
                while entries.next_entry::<IgnoredAny, Text>()?.is_some() {}
                Ok(IgnoredTable)
            }
        }
        input.deserialize_map(Each)
    }
}

/// A text that is not kept.
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        <Cow<'de, str>>::deserialize(input).map(|_| Self)
    }
}

/// How often each name was met, to find those that two files have.
#[derive(Debug, Default)]
pub(crate) struct NameCounts(HashMap<u64, u32>);

impl NameCounts {
    /// Note the names of a file; how many of them another file has too.
    pub(crate) fn note(&mut self, file: u32, header: &Header) -> u64 {
        let mut twice = 0;
        for name in header.names() {
            if self.0.insert(name, file).is_some() {
                twice += 1;
            }
        }
        twice
    }
}
