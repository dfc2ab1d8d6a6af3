//! Files of GGUF: a writer of them, and what imodel says of each of `cases`.
mod cases;

use super::{look, refuses};
use crate::kit::{Sandbox, Tiny};
pub(super) use cases::{damaged, splits, valid};
use serde_json::json;

/// A tensor as a header describes it, and its bytes.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: Vec<u8>,
    dimensions: Vec<u64>,
    kind: u32,
    offset: Option<u64>,
    pub(crate) data: Vec<u8>,
}

/// A GGUF file, as it is written.
#[derive(Clone)]
pub(crate) struct Gguf {
    version: u32,
    /// Each key with its value, as they stand in the file.
    pairs: Vec<Vec<u8>>,
    pub(crate) tensors: Vec<Tensor>,
    /// Said instead of the true numbers.
    counts: Option<(u64, u64)>,
    alignment: usize,
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn size(&mut self) -> usize {
        usize::try_from(self.u64()).unwrap()
    }

    fn text(&mut self) -> &'a [u8] {
        let length = self.size();
        self.take(length)
    }

    fn value(&mut self, kind: u32) {
        match kind {
            8 => drop(self.text()),
            9 => {
                let (kind, count) = (self.u32(), self.u64());
                (0..count).for_each(|_| self.value(kind));
            }
            0 | 1 | 7 => drop(self.take(1)),
            2 | 3 => drop(self.take(2)),
            4..=6 => drop(self.take(4)),
            _ => drop(self.take(8)),
        }
    }
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

impl Gguf {
    /// The tiny real model.
    pub(crate) fn tiny() -> Self {
        Self::read(&std::fs::read(&Tiny::get().model).unwrap())
    }

    /// A file of the usual form.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut input = Input(bytes);
        assert_eq!(input.take(4), b"GGUF");
        let (version, tensors, pairs) = (input.u32(), input.u64(), input.u64());
        let pair = |input: &mut Input| {
            let before = input.0;
            input.text();
            let kind = input.u32();
            input.value(kind);
            before[..before.len() - input.0.len()].to_vec()
        };
        let pairs = (0..pairs).map(|_| pair(&mut input)).collect();
        let mut described = Vec::new();
        for _ in 0..tensors {
            let name = input.text().to_vec();
            let dimensions = (0..input.u32()).map(|_| input.u64()).collect();
            described.push((name, dimensions, input.u32(), input.size()));
        }
        let data = &bytes[(bytes.len() - input.0.len()).next_multiple_of(32)..];
        let ends: Vec<usize> = described.iter().skip(1).map(|it| it.3).chain([data.len()]).collect();
        let tensors = described.into_iter().zip(ends).map(|((name, dimensions, kind, start), end)| Tensor {
            name,
            dimensions,
            kind,
            offset: None,
            data: data[start..end].to_vec(),
        });
        Self { version, pairs, tensors: tensors.collect(), counts: None, alignment: 32 }
    }

    /// Another key, of a type by its number.
    pub(crate) fn set(&mut self, key: &str, kind: u32, value: &[u8]) {
        let key = text(key.as_bytes());
        self.pairs.retain(|pair| !pair.starts_with(&key));
        self.pairs.push([&key[..], &kind.to_le_bytes(), value].concat());
    }

    fn unset(&mut self, key: &str) {
        let key = text(key.as_bytes());
        self.pairs.retain(|pair| !pair.starts_with(&key));
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let counts = self.counts.unwrap_or((self.tensors.len() as u64, self.pairs.len() as u64));
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(counts.0.to_le_bytes());
        bytes.extend(counts.1.to_le_bytes());
        bytes.extend(self.pairs.concat());
        let mut offset = 0;
        for tensor in &self.tensors {
            bytes.extend(text(&tensor.name));
            bytes.extend(u32::try_from(tensor.dimensions.len()).unwrap().to_le_bytes());
            tensor.dimensions.iter().for_each(|length| bytes.extend(length.to_le_bytes()));
            bytes.extend(tensor.kind.to_le_bytes());
            bytes.extend(tensor.offset.unwrap_or(offset).to_le_bytes());
            offset += tensor.data.len().next_multiple_of(self.alignment) as u64;
        }
        for tensor in &self.tensors {
            bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
            bytes.extend(&tensor.data);
        }
        bytes
    }

    /// So many files, with the names that the engine looks for.
    pub(crate) fn split(&self, count: usize) -> Vec<(String, Self)> {
        let share = self.tensors.len().div_ceil(count);
        let total = i32::try_from(self.tensors.len()).unwrap();
        let part = |(index, tensors): (usize, &[Tensor])| {
            let mut part = Self { tensors: tensors.to_vec(), ..self.clone() };
            if index > 0 {
                part.pairs.clear();
                part.set("general.architecture", 8, &text(b"llama"));
            }
            part.set("split.no", 2, &u16::try_from(index).unwrap().to_le_bytes());
            part.set("split.count", 2, &u16::try_from(count).unwrap().to_le_bytes());
            part.set("split.tensors.count", 5, &total.to_le_bytes());
            (format!("m-{:05}-of-{count:05}.gguf", index + 1), part)
        };
        self.tensors.chunks(share).enumerate().map(part).collect()
    }
}

/// The tiny model with one change.
fn changed(change: impl FnOnce(&mut Gguf)) -> Vec<u8> {
    let mut file = Gguf::tiny();
    change(&mut file);
    file.bytes()
}

/// A damaged file: its name, its bytes, and what is said of it.
type Damaged = (&'static str, Vec<u8>, &'static str);

/// The parts of a model, with their names.
type Parts = Vec<(String, Gguf)>;

/// Files of a folder, by name.
pub(super) type Files = Vec<(String, Vec<u8>)>;

#[test]
fn whole_files_are_whole_and_described() {
    let sandbox = Sandbox::new();
    for (name, bytes) in valid() {
        println!("{name}");
        sandbox.write("x.gguf", bytes);
        let model = look(&sandbox, "x.gguf", 0);
        assert_eq!((&model["format"], &model["tensors"]), (&json!("gguf"), &json!(12)), "{name}");
        assert_eq!((&model["architecture"], &model["context_length"]), (&json!("llama"), &json!(131_072)));
        // One head of 32, keys and values, two bytes each.
        assert_eq!(model["kv_bytes_per_1000_tokens"], 128_000);
    }
}

#[test]
fn every_damage_is_found_and_named() {
    let sandbox = Sandbox::new();
    for (name, bytes, what) in damaged() {
        println!("{name}");
        sandbox.write("x.gguf", bytes);
        refuses(&sandbox, "x.gguf", what);
    }
}

#[test]
fn split_models_are_judged_as_a_whole() {
    let sandbox = Sandbox::new();
    for (name, files, what) in splits() {
        println!("{name}");
        let first = format!("{name}/{}", files[0].0);
        for (file, bytes) in files {
            sandbox.write(&format!("{name}/{file}"), bytes);
        }
        match what {
            None => assert_eq!(look(&sandbox, &first, 0)["files"], 3),
            Some(what) => drop(refuses(&sandbox, &first, what)),
        }
    }
}

#[test]
fn a_tensor_of_a_type_that_is_newer_than_we_are_is_no_damage() {
    let sandbox = Sandbox::new();
    sandbox.write("x.gguf", changed(|file| file.tensors[1].kind = 99));
    let output = sandbox.sh("imodel x.gguf").exits(0);
    assert_eq!(output.one("warning")["rule"], "weights_unchecked");
    let short = changed(|file| {
        file.tensors.truncate(2);
        file.tensors[1].kind = 99;
        file.tensors[1].data.clear();
    });
    sandbox.write("x.gguf", short);
    refuses(&sandbox, "x.gguf", "bytes are missing");
}
