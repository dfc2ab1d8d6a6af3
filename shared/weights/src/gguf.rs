//! The header of a GGUF file: keys with values, then the place of each tensor.
//!
//! What is refused is what llama.cpp refuses: github.com/ggml-org/llama.cpp, `ggml/src/gguf.cpp`. Strings and arrays are
//! passed over, but for the few that are asked for, so that what a header claims costs no memory.
pub(crate) mod model;
mod reader;

use crate::header::{WeightsHeader, number};
use crate::part_name::Split;
use crate::report::TotalsByType;
use crate::types::{self, GgufType};
use reader::Reader;
pub(crate) use reader::Value;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;

const MAGIC: &[u8] = b"GGUF";
/// Where the bytes of a tensor begin, where the file does not say otherwise.
const ALIGNMENT: u64 = 32;
/// llama.cpp's limits: bytes of a tensor's name with its end, and dimensions.
const NAME_BYTES: u64 = 64;
const DIMENSIONS: u32 = 4;

/// What a header says.
#[derive(Debug, Default)]
pub(crate) struct Header {
    /// Values of the keys that are asked for, by key.
    pub(crate) values: BTreeMap<String, Value>,
    /// Numbers of the tensors' names.
    pub(crate) tensors: HashSet<u64>,
    totals: TotalsByType,
    /// Numbers of types that are newer than our table.
    pub(crate) unknown_types: Vec<u32>,
    /// Where the tensors' bytes begin in the file.
    data: u64,
    /// What is wrong with the size of the file.
    fault: Option<String>,
}

/// One tensor's entry.
struct Tensor {
    kind: u32,
    elements: u64,
    row: u64,
    offset: u64,
}

impl WeightsHeader for Header {
    fn read(file: &File, size: u64) -> Result<Self, String> {
        if size == 0 {
            return Err("it is empty".to_owned());
        }
        let mut input = Reader::new(file, size);
        if input.bytes(4)? != MAGIC {
            return Err("it is no GGUF file: it does not begin with GGUF".to_owned());
        }
        match input.u32()? {
            2 | 3 => {}
            1 => return Err("it is GGUF version 1, which llama.cpp no longer reads".to_owned()),
            0 => return Err("its header is damaged: GGUF version 0".to_owned()),
            version if version & 0xffff == 0 => {
                return Err("its bytes are in the order of another machine".to_owned());
            }
            version => return Err(format!("it is GGUF version {version}; 2 and 3 are read")),
        }
        let (tensors, pairs) = (input.u64()?, input.u64()?);
        let mut header = Self::default();
        header.read_pairs(&mut input, pairs)?;
        let alignment = header.alignment()?;
        header.read_tensors(&mut input, tensors, alignment)?;
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
    /// A whole number that stands at a key, whatever its width.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        match self.values.get(key) {
            Some(Value::Number(number, _)) => Some(*number),
            _ => None,
        }
    }

    /// A text that stands at a key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether a key is there at all.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Which part of a split model it is.
    ///
    /// # Errors
    /// Its keys are of the wrong types, in words.
    pub(crate) fn split(&self) -> Result<Option<Split>, String> {
        let of_type = |key: &str, wanted: u32| match self.values.get(key) {
            None => Ok(None),
            Some(Value::Number(number, kind)) if *kind == wanted => Ok(Some(*number)),
            Some(_) => Err(format!("its header is damaged: {key} is of the wrong type")),
        };
        let count = of_type("split.count", reader::U16)?.unwrap_or(0);
        let (index, tensors) =
            (of_type("split.no", reader::U16)?, of_type("split.tensors.count", reader::I32)?);
        Ok((count > 1).then_some(Split { index, count, tensors }))
    }

    fn alignment(&self) -> Result<u64, String> {
        match self.values.get("general.alignment") {
            None => Ok(ALIGNMENT),
            Some(Value::Number(alignment, reader::U32)) if alignment.is_power_of_two() => Ok(*alignment),
            Some(_) => Err("its header is damaged: general.alignment is no power of two".to_owned()),
        }
    }

    fn read_pairs(&mut self, input: &mut Reader<'_>, count: u64) -> Result<(), String> {
        let mut known = HashSet::new();
        for _ in 0..count {
            let key = input.text()?;
            if key.is_empty() {
                return Err("its header is damaged: a key is empty".to_owned());
            }
            if !known.insert(number(&key)) {
                return Err(format!("its header is damaged: the key {key} is there twice"));
            }
            if let Some(value) = input.value(&key, is_kept_key(&key))? {
                self.values.insert(key, value);
            }
        }
        Ok(())
    }

    fn read_tensors(&mut self, input: &mut Reader<'_>, count: u64, alignment: u64) -> Result<(), String> {
        // Where the next one has to be, and where the last one ends.
        let (mut expected, mut end) = (Some(0_u64), 0_u64);
        for _ in 0..count {
            let name = input.text()?;
            let damaged = |why: &str| format!("its header is damaged: the tensor {name} {why}");
            let tensor = read_tensor(input, &name)?;
            if !self.tensors.insert(number(&name)) {
                return Err(damaged("is there twice"));
            }
            if expected.is_some_and(|expected| expected != tensor.offset) || tensor.offset % alignment != 0 {
                return Err(damaged(&format!("is at {}, where it cannot be", tensor.offset)));
            }
            let bytes = self.size(&tensor).map_err(|why| damaged(&why))?;
            let too_large = || damaged("has more bytes than there can be");
            end = end.max(tensor.offset.checked_add(bytes.unwrap_or(1)).ok_or_else(too_large)?);
            // Behind one whose size is not known, the next may be anywhere.
            expected = match bytes {
                Some(bytes) => {
                    let padded = bytes.checked_next_multiple_of(alignment);
                    Some(padded.and_then(|bytes| bytes.checked_add(tensor.offset)).ok_or_else(too_large)?)
                }
                None => None,
            };
        }
        self.data = input.position().next_multiple_of(alignment);
        let whole = self.data.checked_add(end).filter(|_| count > 0).unwrap_or(input.position());
        if input.size() < whole {
            let (size, missing) = (input.size(), whole - input.size());
            self.fault = Some(format!("{missing} bytes are missing: {size} of {whole} are there"));
        }
        Ok(())
    }

    /// The bytes of a tensor; `None` where its type is newer than we are.
    fn size(&mut self, tensor: &Tensor) -> Result<Option<u64>, String> {
        match types::gguf(tensor.kind) {
            GgufType::Removed => Err(format!("is of the type {}, which llama.cpp has removed", tensor.kind)),
            GgufType::Unknown => {
                if !self.unknown_types.contains(&tensor.kind) && self.unknown_types.len() < 16 {
                    self.unknown_types.push(tensor.kind);
                }
                self.totals.entry("unknown").or_default().add(tensor.elements, 0);
                Ok(None)
            }
            GgufType::Known((name, block, bytes)) => {
                if !tensor.row.is_multiple_of(block) {
                    return Err(format!("has rows of {}, which are no blocks of {name}", tensor.row));
                }
                let bytes = (tensor.elements / block).checked_mul(bytes);
                let bytes = bytes.ok_or("has more bytes than there can be")?;
                self.totals.entry(name).or_default().add(tensor.elements, bytes);
                Ok(Some(bytes))
            }
        }
    }
}

fn read_tensor(input: &mut Reader<'_>, name: &str) -> Result<Tensor, String> {
    let damaged = |why: &str| Err(format!("its header is damaged: the tensor {name} {why}"));
    if name.len() as u64 >= NAME_BYTES {
        return damaged("has too long a name");
    }
    let dimensions = input.u32()?;
    if dimensions > DIMENSIONS {
        return damaged(&format!("has {dimensions} dimensions"));
    }
    let (mut elements, mut row) = (1_u64, 1);
    for dimension in 0..dimensions {
        let length = input.u64()?;
        row = if dimension == 0 { length } else { row };
        let product = elements.checked_mul(length).filter(|product| *product < i64::MAX as u64);
        let Some(product) = product.filter(|_| i64::try_from(length).is_ok()) else {
            return damaged("has more elements than there can be");
        };
        elements = product;
    }
    Ok(Tensor { kind: input.u32()?, elements, row, offset: input.u64()? })
}

/// Whether the value of a key is kept. Those of an architecture come after its name and a dot.
fn is_kept_key(key: &str) -> bool {
    const EXACT_KEYS: [&str; 9] = [
        "general.alignment",
        "general.architecture",
        "general.name",
        "general.type",
        "split.count",
        "split.no",
        "split.tensors.count",
        "tokenizer.chat_template",
        "tokenizer.ggml.model",
    ];
    const ARCHITECTURE_KEYS: [&str; 12] = [
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.key_length_mla",
        "attention.kv_lora_rank",
        "attention.value_length",
        "block_count",
        "context_length",
        "embedding_length",
        "expert_count",
        "nextn_predict_layers",
        "rope.dimension_count",
    ];
    let suffix = key.split_once('.').map_or("", |(_, suffix)| suffix);
    EXACT_KEYS.contains(&key) || ARCHITECTURE_KEYS.contains(&suffix)
}
