//! Models as large as they come, and headers that claim to be.
use super::{Tensors, refuses};
use crate::kit::Sandbox;
use serde_json::{Map, Value, json};

/// What a tool may take of the address space here; what it takes in memory is less.
const SPACE_KIB: u64 = 128 << 10;

/// 300 GB in 60 shards with 93,000 tensors, as those of a mixture of experts are; all of it holes but for the headers, whose
/// bytes are returned.
fn write(sandbox: &Sandbox) -> u64 {
    let (mut map, mut heads) = (Map::new(), 0);
    for shard in 0..60 {
        let name = format!("model-{:05}-of-00060.safetensors", shard + 1);
        let mut file = Tensors::of(&[]);
        for tensor in 0..1550 {
            let key = format!("model.layers.{shard}.mlp.experts.{tensor}.down_proj.weight_scale_inv");
            file.add(&key, "F8_E4M3", &[1613, 2000], 3_226_000);
            map.insert(key, Value::String(name.clone()));
        }
        let path = sandbox.write(&format!("huge/{name}"), file.head());
        heads += file.head().len() as u64;
        let length = file.head().len() as u64 + 1550 * 3_226_000;
        std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    }
    sandbox
        .write("huge/model.safetensors.index.json", json!({"metadata": {}, "weight_map": map}).to_string());
    sandbox.write("huge/config.json", "{}");
    sandbox.write("huge/tokenizer.json", "{}");
    heads
}

#[test]
fn three_hundred_gigabytes_are_judged_by_their_headers_in_64_mebibytes() {
    let sandbox = Sandbox::new();
    let heads = write(&sandbox);
    let output = sandbox.sh(&format!(
        "(ulimit -v {SPACE_KIB}; exec imodel huge); grep rchar /proc/$$/io >&2; exec python3 -c 'import resource, sys
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)'"
    ));
    let output = output.exits(0);
    // What the shell and those that it waited for have read, and the most that one of these had in memory.
    let told: Vec<u64> =
        output.stderr.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    let [read, peak] = told[..] else { panic!("{}", output.stderr) };
    let model = output.one("model");
    println!("{} s, {read} bytes read, {peak} KiB", model["seconds"]);
    assert_eq!((&model["tensors"], &model["complete"]), (&json!(93_000), &json!(true)));
    assert!(model["bytes"].as_u64().unwrap() > 300_000_000_000);
    let headers: u64 = sandbox
        .sh("du -cb huge/*.json | tail -n 1")
        .exits(0)
        .stdout
        .split_once('\t')
        .unwrap()
        .0
        .parse()
        .unwrap();
    let headers = headers + heads;
    // The index is read twice where a tensor is missing; here nothing is.
    assert!(read < headers + (4 << 20), "{read} bytes read, and {headers} in headers and the index");
    assert!(peak < 64 << 10, "{peak} KiB");
}

#[test]
fn a_header_that_claims_all_memory_gets_none() {
    let sandbox = Sandbox::new();
    let with_length = |length: u64, rest: &[u8]| [&length.to_le_bytes()[..], rest].concat();
    let small = |name: &str, bytes: Vec<u8>| {
        let path = sandbox.write(name, bytes);
        std::fs::File::options().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
    };
    small("a.safetensors", with_length(99_999_999, b"{"));
    small("b.safetensors", with_length(u64::MAX, b"{"));
    let gguf = |tensors: u64, pairs: u64, rest: &[u8]| {
        [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &pairs.to_le_bytes(), rest].concat()
    };
    small("a.gguf", gguf(u64::MAX, 0, b""));
    small("b.gguf", gguf(0, u64::MAX, &u64::MAX.to_le_bytes()));
    // One list of 2^37 numbers, and one of 2^36 empty texts.
    let list = |kind: u32, count: u64| {
        [&1_u64.to_le_bytes()[..], b"k", &9_u32.to_le_bytes(), &kind.to_le_bytes(), &count.to_le_bytes()]
            .concat()
    };
    small("c.gguf", gguf(0, 1, &list(4, 1 << 37)));
    small("d.gguf", gguf(0, 1, &list(8, 1 << 36)));
    for name in ["a.safetensors", "b.safetensors", "a.gguf", "b.gguf", "c.gguf", "d.gguf"] {
        refuses(&sandbox, name, "");
        drop(sandbox.sh(&format!("ulimit -v {SPACE_KIB}; imodel {name}")).exits(1));
    }
}
