//! Model folders: shards and their index, what lies beside them, and what a copy or a download leaves behind.
use super::{Tensors, look, pointer, refuses};
use crate::kit::Sandbox;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

/// A folder with two shards, an index, and all that an engine reads beside them.
fn model() -> Sandbox {
    let sandbox = Sandbox::new();
    write_to(&sandbox, "m");
    sandbox
}

pub(crate) fn write_to(sandbox: &Sandbox, folder: &str) {
    let write = |name: &str, content: &[u8]| drop(sandbox.write(&format!("{folder}/{name}"), content));
    write("model-00001-of-00002.safetensors", &Tensors::of(&["a", "b"]).bytes());
    write("model-00002-of-00002.safetensors", &Tensors::of(&["c"]).bytes());
    let shard = |number: u32| format!("model-0000{number}-of-00002.safetensors");
    let index =
        json!({"metadata": {"total_size": 24}, "weight_map": {"a": shard(1), "b": shard(1), "c": shard(2)}});
    write("model.safetensors.index.json", index.to_string().as_bytes());
    write("config.json", config().to_string().as_bytes());
    write("tokenizer.json", b"{}");
    write("tokenizer_config.json", br#"{"chat_template": "{{ messages }}"}"#);
    write("generation_config.json", b"{}");
}

fn config() -> Value {
    json!({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "num_hidden_layers": 10, "hidden_size": 64,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 4096})
}

/// The warnings of a folder that is whole all the same.
fn warned(sandbox: &Sandbox, folder: &str) -> Vec<String> {
    let output = sandbox.sh(&format!("imodel {folder}")).exits(0);
    output.all("warning").iter().map(|warning| warning["rule"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_whole_folder_is_whole_and_described() {
    let sandbox = model();
    let model = look(&sandbox, "m", 0);
    let told = ["format", "files", "tensors", "parameters", "architecture", "layers", "heads", "kv_heads"];
    let expected = json!(["safetensors", 2, 3, 12, "Qwen3ForCausalLM", 10, 8, 2]);
    assert_eq!(told.map(|field| model[field].clone()).to_vec(), expected.as_array().unwrap().clone());
    // Ten layers, two heads of 16, keys and values, two bytes each.
    assert_eq!(model["kv_bytes_per_1000_tokens"], 10 * 2 * 16 * 2 * 2 * 1000);
    assert_eq!(warned(&sandbox, "m"), [""; 0]);
}

/// A rule, and what is done to a folder.
type Change = (&'static str, fn(&Sandbox));

/// What is done to a folder, and what is said of it.
type Damage = (&'static str, fn(&Sandbox), &'static str);

fn remove(sandbox: &Sandbox, name: &str) {
    std::fs::remove_file(sandbox.path("m").join(name)).unwrap();
}

const DAMAGES: [Damage; 18] = [
    (
        "a shard is missing",
        |s| remove(s, "model-00002-of-00002.safetensors"),
        "model-00002-of-00002.safetensors: No such file",
    ),
    (
        "a shard is short",
        |s| drop(s.sh("truncate -s -1 m/model-00001-of-00002.safetensors")),
        "1 bytes are missing",
    ),
    ("a shard is empty", |s| drop(s.sh(": > m/model-00002-of-00002.safetensors")), "it is empty"),
    (
        "a shard is a pointer",
        |s| drop(s.write("m/model-00002-of-00002.safetensors", pointer(5_000_000_000))),
        "pointer to 5000000000 bytes",
    ),
    (
        "a shard lacks a tensor",
        |s| drop(s.write("m/model-00001-of-00002.safetensors", Tensors::of(&["a"]).bytes())),
        "it has no tensor b",
    ),
    (
        "a shard is another model's",
        |s| drop(s.write("m/model-00001-of-00002.safetensors", Tensors::of(&["x", "y"]).bytes())),
        "it lacks 2 tensors",
    ),
    (
        "a shard is a broken link",
        |s| {
            remove(s, "model-00002-of-00002.safetensors");
            symlink("../../blobs/abc", s.path("m/model-00002-of-00002.safetensors")).unwrap();
        },
        "it is a link to ../../blobs/abc",
    ),
    (
        "the index is cut off",
        |s| drop(s.sh("truncate -s -5 m/model.safetensors.index.json")),
        "index.json: it is damaged",
    ),
    (
        "the index is a pointer",
        |s| drop(s.write("m/model.safetensors.index.json", pointer(9))),
        "index.json: it is damaged",
    ),
    (
        "the index names nothing",
        |s| drop(s.write("m/model.safetensors.index.json", r#"{"weight_map":{}}"#)),
        "it names no tensor",
    ),
    (
        "the index leads elsewhere",
        |s| drop(s.write("m/model.safetensors.index.json", r#"{"weight_map":{"a":"../x"}}"#)),
        "not in this folder",
    ),
    (
        "no index, and a number is missing",
        |s| {
            remove(s, "model.safetensors.index.json");
            remove(s, "model-00001-of-00002.safetensors");
        },
        "model-00001-of-00002.safetensors: No such file",
    ),
    ("no configuration", |s| remove(s, "config.json"), "config.json: No such file"),
    ("a damaged configuration", |s| drop(s.write("m/config.json", "{")), "config.json: it is damaged"),
    ("no tokenizer", |s| remove(s, "tokenizer.json"), "there is no tokenizer"),
    ("an empty tokenizer", |s| drop(s.write("m/tokenizer.json", "")), "tokenizer.json: it is empty"),
    (
        "the tokenizer is a pointer",
        |s| drop(s.write("m/tokenizer.json", pointer(7))),
        "tokenizer.json: it is a git-lfs pointer",
    ),
    (
        "generation settings that are no JSON",
        |s| drop(s.write("m/generation_config.json", "no")),
        "generation_config.json: it is damaged",
    ),
];

#[test]
fn every_damage_of_a_folder_is_found_alone() {
    for (name, damage, what) in DAMAGES {
        println!("{name}");
        let sandbox = model();
        damage(&sandbox);
        refuses(&sandbox, "m", what);
    }
}

#[test]
fn several_damages_are_all_named_in_one_run() {
    // Those of one file do not meet those of another.
    let groups = [&[1, 3, 12, 14, 17][..], &[0, 4, 13, 16], &[2, 5, 15], &[7, 12, 14], &[11, 13, 15]];
    for group in groups {
        let sandbox = model();
        group.iter().for_each(|at| (DAMAGES[*at].1)(&sandbox));
        let problems = refuses(&sandbox, "m", "");
        for at in group {
            let (name, _, what) = DAMAGES[*at];
            assert!(problems.iter().any(|problem| problem.contains(what)), "{name}: {problems:#?}");
        }
    }
}

#[test]
fn what_stops_nothing_is_a_warning() {
    let cases: [Change; 6] = [
        ("chat_template", |s| drop(s.write("m/tokenizer_config.json", "{}"))),
        ("weights_leftover", |s| drop(s.write("m/.cache/huggingface/download/x.incomplete", "half"))),
        ("weights_leftover", |s| drop(s.write("m/model-00003.safetensors.part", "half"))),
        ("weights_duplicate", |s| {
            drop(s.write("m/model-00002-of-00002.safetensors", Tensors::of(&["a", "c"]).bytes()));
        }),
        ("processor", |s| drop(s.write("m/config.json", config_with("vision_config", json!({}))))),
        ("remote_code", |s| {
            drop(s.write(
                "m/config.json",
                config_with("auto_map", json!({"AutoModel": "org/other--modeling.Model"})),
            ));
        }),
    ];
    for (rule, change) in cases {
        let sandbox = model();
        change(&sandbox);
        assert_eq!(warned(&sandbox, "m"), [rule]);
    }
}

fn config_with(key: &str, value: Value) -> String {
    let mut config = config();
    config[key] = value;
    config.to_string()
}

#[test]
fn holes_are_a_warning_as_a_file_system_may_have_made_them() {
    let sandbox = model();
    let mut file = Tensors::of(&[]);
    file.add("c", "U8", &[64 << 20], 64 << 20);
    let path = sandbox.write("m/model-00002-of-00002.safetensors", file.head());
    let length = file.head().len() as u64 + (64 << 20);
    std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    assert_eq!(warned(&sandbox, "m"), ["weights_sparse"]);
}

#[test]
fn a_folder_of_the_hubs_cache_names_the_snapshot_that_is_meant() {
    let sandbox = Sandbox::new();
    write_to(&sandbox, "hub/models--org--name/snapshots/abc123");
    sandbox.write("hub/models--org--name/blobs/x", "");
    sandbox.write("hub/models--org--name/refs/main", "abc123");
    refuses(&sandbox, "hub/models--org--name", "hub/models--org--name/snapshots/abc123");
    look(&sandbox, "hub/models--org--name/snapshots/abc123", 0);
}

#[test]
fn pytorch_files_are_counted_and_looked_for_but_not_into() {
    let sandbox = model();
    drop(
        sandbox.sh("rm m/*.safetensors m/*.index.json; echo x > m/pytorch_model-00001-of-00002.bin").exits(0),
    );
    refuses(&sandbox, "m", "pytorch_model-00002-of-00002.bin: No such file");
    sandbox.write("m/pytorch_model-00002-of-00002.bin", "x");
    assert_eq!(warned(&sandbox, "m"), ["weights_unchecked"]);
    sandbox.write("m/pytorch_model-00002-of-00002.bin", pointer(7));
    refuses(&sandbox, "m", "git-lfs pointer");
}

#[test]
fn a_folder_of_models_names_one_that_may_be_meant() {
    let sandbox = Sandbox::new();
    write_to(&sandbox, "all/m");
    let problems = refuses(&sandbox, "all", "$SANDBOX/all/m may be meant");
    assert_eq!(problems.len(), 1, "{problems:?}");
    sandbox.write("hub/models--org--name/snapshots/abc/config.json", "{}");
    refuses(&sandbox, "hub", "$SANDBOX/hub/models--org--name may be meant");
    symlink("nowhere", sandbox.path("m.gguf")).unwrap();
    let model = sandbox.sh("imodel m.gguf").exits(69).one("model");
    assert_eq!(model["problems"][0], "it is a link to nowhere: No such file or directory");
}

#[test]
fn numbers_that_only_python_has_are_no_damage() {
    let sandbox = model();
    let config = config_with("time_step_limit", json!([0.0, "X"])).replace("\"X\"", "Infinity");
    sandbox.write("m/config.json", config);
    assert_eq!(look(&sandbox, "m", 0)["layers"], 10);
}
