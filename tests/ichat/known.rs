//! A known answer: what all other checks pass, and is damaged all the same.
use crate::imodel::Gguf;
use crate::kit::{Sandbox, free_port};
use crate::pipeline::sandbox_with_engine;
use serde_json::json;

const PIPELINE: &str = "ienv llama-cpp | iinstall | iplan | imodel | ilaunch | iprobe";

/// The tiny model with another byte in the middle of each number of one tensor: no size and no header changes.
fn damaged(tensor: &str) -> Vec<u8> {
    let mut file = Gguf::tiny();
    let found = file.tensors.iter_mut().find(|found| found.name == tensor.as_bytes()).unwrap();
    found.data.rotate_right(4096);
    file.bytes()
}

/// Serve another model under the same name, from the beginning.
fn serve(sandbox: &Sandbox, model: &[u8]) {
    let path = sandbox.write("served.gguf", model);
    let config = sandbox.read("llama.toml");
    let lines = config.lines().map(|line| match line.starts_with("model = ") {
        true => format!("model = {path:?}\nalias = 'tiny'"),
        false => line.to_owned(),
    });
    let lines: Vec<String> = lines.filter(|line| !line.starts_with("alias")).collect();
    sandbox.write("llama.toml", lines.join("\n") + "\n");
}

#[test]
fn a_known_answer_finds_tensors_that_were_damaged_without_a_change_of_size() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    serve(&sandbox, &Gguf::tiny().bytes());
    drop(sandbox.sh(PIPELINE).exits(0));
    drop(sandbox.sh("ichat --instance tiny0 --record known.json").exits(0));
    let known: serde_json::Value = serde_json::from_str(&sandbox.read("known.json")).unwrap();
    assert_eq!((&known["format"], &known["agree_percent"]), (&json!(1), &json!(100)));
    assert!(known["answers"][0]["text"].as_str().unwrap().starts_with("The engine is up"), "{known}");
    let correct = format!("{PIPELINE} --rung correct --answers known.json");
    let ready = sandbox.sh(&correct).exits(0).one("ready");
    assert_eq!(ready["rung"], "correct");
    assert!(ready["correct_ms"].as_f64().unwrap() > 0.0, "{ready}");

    drop(sandbox.sh("istop").exits(0));
    serve(&sandbox, &damaged("output.weight"));
    // It is whole for all that looks at sizes, loads, is healthy and answers.
    let passed = sandbox.sh(PIPELINE).exits(0);
    assert_eq!(
        (passed.one("model")["complete"].clone(), passed.one("ready")["rung"].clone()),
        (json!(true), json!("answering"))
    );
    let failed = sandbox.sh(&correct).exits(1).one("failed");
    assert_eq!((&failed["by"], &failed["class"]), (&json!("iprobe"), &json!("wrong_answer")));
    assert!(failed["cause"].as_str().unwrap().contains("is known"), "{failed}");
}

#[test]
fn the_rung_that_the_configuration_wants_is_climbed_to() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let config = sandbox.read("llama.toml");
    let control = |more: &str| format!("{config}[instance.control]\nready_rung = 'correct'\n{more}");
    sandbox.write("llama.toml", control(""));
    let failed = sandbox.sh("ienv llama-cpp | iinstall | iplan").exits(65);
    assert!(failed.stderr.contains("known_answer is not set"), "{}", failed.stderr);
    let answers = json!({"format": 1, "agree_percent": 30, "answers": [{"prompt": "x", "max_tokens": 8, "text": "The engine and what else"}]});
    let file = sandbox.write("known.json", answers.to_string());
    sandbox.write("llama.toml", control(&format!("known_answer = {file:?}\n")));
    assert_eq!(sandbox.sh(PIPELINE).exits(0).one("ready")["rung"], "correct");
    drop(sandbox.sh("istop").exits(0));
    sandbox.write("known.json", answers.to_string().replace("The engine", "Some other"));
    assert_eq!(sandbox.sh(PIPELINE).exits(1).one("failed")["class"], "wrong_answer");
    sandbox.write("known.json", "{}");
    drop(sandbox.sh(PIPELINE).exits(69));
}
