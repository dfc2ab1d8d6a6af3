//! Files of safetensors: a writer, and all that can be wrong with one.
use super::{look, pointer, refuses};
use crate::kit::Sandbox;
use serde_json::{Map, Value, json};

/// A file of safetensors, as it is written.
#[derive(Clone)]
pub(crate) struct Tensors {
    header: Map<String, Value>,
    data: usize,
}

impl Tensors {
    /// A file with these tensors of four BF16 numbers each.
    pub(crate) fn of(names: &[&str]) -> Self {
        let mut file = Self { header: Map::new(), data: 0 };
        file.header.insert("__metadata__".into(), json!({"format": "pt"}));
        for name in names {
            file.add(name, "BF16", &[2, 2], 8);
        }
        file
    }

    /// One tensor more, behind the others.
    pub(crate) fn add(&mut self, name: &str, dtype: &str, shape: &[u64], bytes: usize) {
        let offsets = [self.data, self.data + bytes];
        self.header.insert(name.into(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
        self.data += bytes;
    }

    /// With one member of one tensor's entry changed.
    fn with(&self, tensor: &str, member: &str, value: Value) -> Vec<u8> {
        let mut changed = self.clone();
        changed.header[tensor][member] = value;
        changed.bytes()
    }

    /// The header alone, with its length before it.
    pub(crate) fn head(&self) -> Vec<u8> {
        framed(&serde_json::to_string(&self.header).unwrap())
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.resize(bytes.len() + self.data, 0x3f);
        bytes
    }
}

/// A header with its length before it.
fn framed(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
}

/// Valid files, by name.
pub(super) fn valid() -> Vec<(&'static str, Vec<u8>)> {
    let plain = Tensors::of(&["a", "b"]);
    let mut all = Tensors::of(&[]);
    for (dtype, shape, bytes) in [
        ("BOOL", vec![3], 3),
        ("U8", vec![], 1),
        ("F8_E4M3", vec![2, 2], 4),
        ("F4", vec![2, 2], 2),
        ("I64", vec![0, 7], 0),
        ("F32", vec![1, 1, 1, 1, 1, 2], 8),
    ] {
        all.add(dtype, dtype, &shape, bytes);
    }
    let odd = r#"  {"b" :{"shape":[1],"dtype":"U8","data_offsets":[1,2],"more":{"x":[]}}, "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   "#;
    let again = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    vec![
        ("plain", plain.bytes()),
        ("every type", all.bytes()),
        ("no tensors", framed("{}")),
        ("no metadata", framed(r#"{"__metadata__":null}"#)),
        ("another order and spaces", [framed(odd), vec![1, 2]].concat()),
        ("the same twice", [framed(again), vec![1]].concat()),
        (
            "the same twice, the first without a place",
            [framed(&again.replacen("[0,1]", "[0,9]", 1)), vec![1]].concat(),
        ),
    ]
}

/// Damaged files: by name, with what is said of each.
pub(super) fn damaged() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let file = Tensors::of(&["a", "b", "c"]);
    let whole = file.bytes();
    let head = file.head().len();
    let cut = |length: usize| whole[..length].to_vec();
    let twice = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    vec![
        ("empty", Vec::new(), "it is empty"),
        ("seven bytes", cut(7), "too few for a header"),
        ("length alone", cut(8), "ends within its header"),
        ("cut in the header", cut(head - 1), "ends within its header"),
        ("cut at the data", cut(head), "24 bytes are missing"),
        ("one byte short", cut(whole.len() - 1), "1 bytes are missing"),
        ("one byte more", [whole.clone(), vec![0]].concat(), "1 bytes follow its last tensor"),
        ("text", b"<!DOCTYPE html><html></html>".to_vec(), "it is no safetensors file"),
        ("zeros", vec![0; 100], "its header is damaged"),
        ("no JSON", framed("{\"a\":"), "its header is damaged"),
        ("a list", framed("[]"), "its header is damaged"),
        ("not UTF-8", [&8_u64.to_le_bytes()[..], b"{\"\xff\":1} "].concat(), "its header is damaged"),
        ("more behind the header", framed("{} {}"), "its header is damaged"),
        ("metadata that is no text", framed(r#"{"__metadata__":{"a":1}}"#), "its header is damaged"),
        ("an unknown type", file.with("a", "dtype", json!("F12")), "unknown type F12"),
        ("a shape of another size", file.with("a", "shape", json!([3])), "a has 6 bytes"),
        ("a negative shape", file.with("a", "shape", json!([-2])), "its header is damaged"),
        (
            "a shape without end",
            file.with("a", "shape", json!([u64::MAX, 2])),
            "more bytes than there can be",
        ),
        ("a gap", file.with("b", "data_offsets", json!([9, 17])), "no tensor, or two, at byte 8"),
        ("an overlap", file.with("b", "data_offsets", json!([0, 8])), "no tensor, or two, at byte 8"),
        ("backwards", file.with("b", "data_offsets", json!([16, 8])), "is at 16 to 8"),
        ("half a byte", file.with("a", "dtype", json!("F6_E2M3")), "has 3 bytes"),
        ("twice at two places", [framed(twice), vec![1, 2]].concat(), "no tensor, or two, at byte 0"),
        ("a pointer", pointer(whole.len() as u64).into_bytes(), "git-lfs pointer to"),
    ]
}

#[test]
fn whole_files_are_whole() {
    let sandbox = Sandbox::new();
    for (name, bytes) in valid() {
        sandbox.write("x.safetensors", &bytes);
        let model = look(&sandbox, "x.safetensors", 0);
        assert_eq!(
            (&model["format"], &model["bytes"]),
            (&json!("safetensors"), &json!(bytes.len())),
            "{name}"
        );
    }
    sandbox.write("x.safetensors", Tensors::of(&["a", "b"]).bytes());
    let model = look(&sandbox, "x.safetensors", 0);
    assert_eq!((&model["tensors"], &model["parameters"]), (&json!(2), &json!(8)));
    let expected = json!({"BF16": {"tensors": 2, "parameters": 8, "bytes": 16}});
    assert_eq!(model["types"], expected);
}

#[test]
fn every_damage_is_found_and_named() {
    let sandbox = Sandbox::new();
    for (name, bytes, what) in damaged() {
        println!("{name}");
        sandbox.write("x.safetensors", bytes);
        refuses(&sandbox, "x.safetensors", what);
    }
}
