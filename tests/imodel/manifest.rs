//! imodel --record, --verify and --since: what a model was, held against what it is.
use super::{Tensors, folders};
use crate::kit::Sandbox;
use serde_json::{Value, json};

fn recorded() -> Sandbox {
    let sandbox = Sandbox::new();
    folders::write_to(&sandbox, "m");
    sandbox.write("m/sub/extra.json", "{}");
    let model = sandbox.sh("imodel --record m").exits(0).one("model");
    assert_eq!(model["manifest"], "$SANDBOX/m/infer-dev-manifest.json");
    sandbox
}

fn problems(sandbox: &Sandbox, command: &str, code: i32) -> Vec<String> {
    let model = sandbox.sh(command).exits(code).one("model");
    model["problems"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_manifest_has_the_sha256_that_sha256sum_has() {
    let sandbox = recorded();
    let manifest: Value = serde_json::from_str(&sandbox.read("m/infer-dev-manifest.json")).unwrap();
    assert_eq!(manifest["format"], 1);
    let files = manifest["files"].as_array().unwrap();
    let list: Vec<String> = files
        .iter()
        .map(|file| format!("{}  {}", file["sha256"].as_str().unwrap(), file["path"].as_str().unwrap()))
        .collect();
    sandbox.write("sums", list.join("\n") + "\n");
    drop(sandbox.sh("cd m; sha256sum --strict --quiet -c ../sums").exits(0));
    assert_eq!(list.len(), 8, "{list:?}");
}

#[test]
fn what_a_killed_run_has_left_of_a_manifest_is_no_part_of_the_model() {
    let sandbox = recorded();
    let manifest = |name: &str| -> Value { serde_json::from_str(&sandbox.read(name)).unwrap() };
    let before = manifest("m/infer-dev-manifest.json")["files"].clone();
    drop(sandbox.sh("cp m/infer-dev-manifest.json m/.infer-dev-manifest.json.0123456789abcdef.new").exits(0));
    drop(sandbox.sh("imodel --verify m && imodel --record m").exits(0));
    assert_eq!(manifest("m/infer-dev-manifest.json")["files"], before);
}

#[test]
fn what_is_as_it_was_recorded_verifies_wherever_it_is_copied_to() {
    let sandbox = recorded();
    drop(sandbox.sh("cp -r m elsewhere").exits(0));
    let model = sandbox.sh("imodel --verify elsewhere").exits(0).one("model");
    assert_eq!((&model["complete"], model["hashed_bytes"].as_u64().unwrap() > 272), (&json!(true), true));
}

#[test]
fn a_flipped_byte_and_files_that_go_come_or_change_their_names_are_reported() {
    let cases: [(&str, &[&str]); 5] = [
        // The last byte is a tensor's: the header says nothing of it.
        (
            "printf X | dd of=m/model-00002-of-00002.safetensors bs=1 seek=$(($(stat -c %s m/model-00002-of-00002.safetensors) - 1)) conv=notrunc status=none",
            &["model-00002-of-00002.safetensors: its sha256 is"],
        ),
        ("rm m/generation_config.json", &["generation_config.json: it is in the manifest, and not here"]),
        ("echo '{}' > m/added.json", &["added.json: it is not in the manifest"]),
        (
            "mv m/sub/extra.json m/sub/other.json",
            &["sub/extra.json: it is in the manifest", "sub/other.json: it is not in"],
        ),
        ("echo '{\"a\": 1}' > m/tokenizer.json", &["tokenizer.json: it has 9 bytes, and 2 when"]),
    ];
    for (change, expected) in cases {
        let sandbox = recorded();
        drop(sandbox.sh(change).exits(0));
        let problems = problems(&sandbox, "imodel --verify m", 1);
        for what in expected {
            assert!(problems.iter().any(|problem| problem.starts_with(what)), "{change}: {problems:?}");
        }
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
    }
}

#[test]
fn a_model_that_is_not_whole_is_not_recorded() {
    let sandbox = Sandbox::new();
    folders::write_to(&sandbox, "m");
    drop(sandbox.sh("truncate -s -1 m/model-00001-of-00002.safetensors; imodel --record m").exits(1));
    assert!(!sandbox.path("m/infer-dev-manifest.json").exists());
    let output = sandbox.sh("imodel --verify m").exits(69);
    assert!(output.stderr.contains("cannot use the manifest"), "{}", output.stderr);
}

#[test]
fn hashes_that_the_hub_has_left_are_what_counts() {
    let sandbox = Sandbox::new();
    folders::write_to(&sandbox, "m");
    let shard = "model-00002-of-00002.safetensors";
    let script = format!("sha256sum < m/{shard} | cut -d' ' -f1");
    let sum = sandbox.sh(&script).exits(0).stdout.trim().to_owned();
    let note = |hash: &str, time: &str| {
        sandbox.write(
            &format!("m/.cache/huggingface/download/{shard}.metadata"),
            format!("commit\n{hash}\n{time}\n"),
        );
    };
    note(&sum, "4000000000.5");
    assert_eq!(problems(&sandbox, "imodel --record m", 0), [""; 0]);
    note(&"0".repeat(64), "4000000000.5");
    let told = problems(&sandbox, "imodel --record m", 1);
    assert!(told[0].contains("where it was fetched from"), "{told:?}");
    // It was changed since, as its owner may; and a hash that is none is that of git.
    note(&"0".repeat(64), "1000.5");
    assert_eq!(problems(&sandbox, "imodel --record m", 0), [""; 0]);
    note(&"0".repeat(40), "4000000000.5");
    assert_eq!(problems(&sandbox, "imodel --record m", 0), [""; 0]);
    // In the hub's cache the name of a blob is its hash.
    sandbox.write(&format!("blobs/{}", "1".repeat(64)), Tensors::of(&["c"]).bytes());
    drop(sandbox.sh(&format!("ln -sf ../blobs/{} m/{shard}", "1".repeat(64))).exits(0));
    assert_eq!(problems(&sandbox, "imodel --record m", 1).len(), 1);
}

#[test]
fn only_what_changed_since_the_last_pass_is_read() {
    let sandbox = recorded();
    // Files that are older than the moment in which a change could be missed.
    drop(sandbox.sh("find m -type f -exec touch -d '1 hour ago' {} +").exits(0));
    let pass = |sandbox: &Sandbox, code| {
        sandbox.sh("sleep 0.2; imodel --verify --since note m").exits(code).one("model")["hashed_bytes"]
            .as_u64()
            .unwrap()
    };
    let all = pass(&sandbox, 0);
    assert_eq!((all > 0, pass(&sandbox, 0)), (true, 0));
    sandbox.write("m/tokenizer.json", "[]");
    assert_eq!(pass(&sandbox, 1), 2);
    sandbox.write("note", "no note");
    drop(sandbox.sh("imodel --verify --since note m").exits(65));
    drop(sandbox.sh("imodel --since note m").exits(2));
}

#[test]
fn the_parts_of_one_file_are_recorded_together() {
    let sandbox = Sandbox::new();
    for (name, part) in super::Gguf::tiny().split(2) {
        sandbox.write(&name, part.bytes());
    }
    drop(sandbox.sh("imodel --record m-00001-of-00002.gguf").exits(0));
    drop(sandbox.sh("imodel --verify m-00001-of-00002.gguf").exits(0));
    drop(
        sandbox
            .sh("printf X | dd of=m-00002-of-00002.gguf bs=1 seek=1500000 conv=notrunc status=none")
            .exits(0),
    );
    let told = problems(&sandbox, "imodel --verify m-00001-of-00002.gguf", 1);
    assert!(told[0].starts_with("m-00002-of-00002.gguf: its sha256 is"), "{told:?}");
}
