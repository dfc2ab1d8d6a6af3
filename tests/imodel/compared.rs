//! Our verdicts beside those of the packages that read the same files: PyPI's safetensors and gguf.
use super::{gguf, tensors};
use crate::fuzz::{SeededRng, rounds};
use crate::kit::{Sandbox, clients, root};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Files by name.
pub(super) type Named = Vec<(String, Vec<u8>)>;

/// What Python says of each request, in order.
fn python(requests: &[Value]) -> Option<Vec<String>> {
    let python = clients("models")?.join("bin/python");
    let mut child = Command::new(python)
        .arg(root().join("tests/data/reading.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), requests.len(), "{:?}", answers.last());
    Some(answers)
}

/// Whether each file passes here, with its problems; and whether it loads there, with what was said.
fn both(sandbox: &Sandbox, format: &str, files: &Named) -> Option<Vec<(Value, String)>> {
    let path = |at: usize| format!("{at}.{format}");
    for (at, (_, bytes)) in files.iter().enumerate() {
        sandbox.write(&path(at), bytes);
    }
    let requests: Vec<Value> = (0..files.len()).map(|at| json!([format, sandbox.text(&path(at))])).collect();
    let theirs = python(&requests)?;
    let paths: Vec<String> = (0..files.len()).map(path).collect();
    let output = sandbox.sh(&format!("imodel {} 2>err || test $? = 1; ! grep panicked err", paths.join(" ")));
    let ours = output.exits(0).all("model");
    assert_eq!(ours.len(), files.len());
    Some(ours.into_iter().zip(theirs).collect())
}

/// Hold our verdicts against theirs; returns the files that they load and we refuse, and the other way round.
fn differing<'a>(files: &'a Named, verdicts: &[(Value, String)]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut refused, mut passed) = (Vec::new(), Vec::new());
    for ((name, _), (ours, theirs)) in files.iter().zip(verdicts) {
        println!("| {name} | {} {} | {theirs} |", ours["complete"], ours["problems"]);
        match (ours["complete"] == true, theirs == "loads") {
            (false, true) => refused.push(name.as_str()),
            (true, false) => passed.push(name.as_str()),
            _ => {}
        }
    }
    (refused, passed)
}

/// The corpus, and each damaged file damaged once more.
pub(super) fn corpus(valid: &[(&str, Vec<u8>)], damaged: &[(&str, Vec<u8>, &str)]) -> Named {
    let whole = |bytes: &[u8]| bytes.to_vec();
    let mut files: Named = valid.iter().map(|(name, bytes)| ((*name).to_owned(), whole(bytes))).collect();
    for (name, bytes, _) in damaged {
        files.push(((*name).to_owned(), whole(bytes)));
        files.push((format!("{name}, and cut"), whole(&bytes[..bytes.len().saturating_sub(1)])));
        files.push((format!("{name}, and longer"), [bytes, &[0; 9][..]].concat()));
    }
    files
}

/// Numbers where a header has none of them.
pub(crate) fn with_a_number(seeded_rng: &mut SeededRng, bytes: &mut [u8], within: usize) {
    let numbers = [0, 1, 31, 1 << 31, u64::from(u32::MAX), 1 << 40, i64::MAX as u64, u64::MAX - 7, u64::MAX];
    let number = seeded_rng.one(&numbers).to_le_bytes();
    let width = *seeded_rng.one(&[1, 2, 4, 8]);
    let at = seeded_rng.below(within.min(bytes.len()).saturating_sub(width));
    if let Some(place) = bytes.get_mut(at..at + width) {
        place.copy_from_slice(&number[..width]);
    }
}

#[test]
fn python_loads_the_safetensors_that_pass_and_no_others() {
    let sandbox = Sandbox::new();
    let mut files = corpus(&tensors::valid(), &tensors::damaged());
    let mut seeded_rng = SeededRng::new();
    let inputs: Vec<Vec<u8>> = files.iter().map(|(_, bytes)| bytes.clone()).collect();
    let tokens = [
        "\"F32\"",
        "\"dtype\":",
        "[0,8]",
        "__metadata__",
        "{}",
        "null",
        ",",
        "[",
        "]",
        "e1",
        ".0",
        "\\u0061",
    ];
    for round in 0..rounds(400, 20_000) {
        let (one, other) = (seeded_rng.below(inputs.len()), seeded_rng.below(inputs.len()));
        let mut bytes = seeded_rng.change(&inputs[one], &inputs[other], &tokens);
        if seeded_rng.once_in(4) {
            with_a_number(&mut seeded_rng, &mut bytes, 16);
        } else if bytes.len() > 8 && seeded_rng.once_in(2) {
            // The header has the length that its beginning says.
            let close = bytes[8..].iter().rposition(|byte| *byte == b'}').map_or(0, |at| at as u64 + 1);
            bytes[..8].copy_from_slice(&close.to_le_bytes());
        }
        files.push((format!("round {round}"), bytes));
    }
    for part in files.chunks(500) {
        let part = part.to_vec();
        let Some(verdicts) = both(&sandbox, "safetensors", &part) else { return };
        assert_eq!(differing(&part, &verdicts), (vec![], vec![]));
    }
}

#[test]
fn what_python_writes_is_whole() {
    let sandbox = Sandbox::new();
    let paths = ["a.safetensors", "a.gguf"].map(|name| sandbox.text(name));
    let Some(answers) = python(&paths.clone().map(|path| json!(["write", path]))) else { return };
    assert_eq!(answers, ["written"; 2]);
    for (name, types) in [("a.safetensors", ["F16", "F64", "I64"].as_slice()), ("a.gguf", &["F32", "Q8_0"])] {
        let model = super::look(&sandbox, name, 0);
        assert_eq!(model["types"].as_object().unwrap().keys().collect::<Vec<_>>(), types);
    }
}

#[test]
fn pythons_gguf_loads_what_passes() {
    let sandbox = Sandbox::new();
    let files = corpus(&gguf::valid(), &gguf::damaged());
    let Some(verdicts) = both(&sandbox, "gguf", &files) else { return };
    let (_, passed) = differing(&files, &verdicts);
    assert_eq!(passed, [""; 0]);
}
