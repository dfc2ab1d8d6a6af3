//! imodel: models of every kind, whole and damaged in every way, judged from their headers.
mod compared;
mod filter;
pub(crate) mod folders;
mod gguf;
mod huge;
mod manifest;
mod real;
mod signed;
mod suggest;
mod tensors;

pub(crate) use compared::with_a_number;
pub(crate) use gguf::Gguf;
pub(crate) use tensors::Tensors;

use crate::kit::{Output, Sandbox};
use serde_json::Value;

/// Look at one path, whose verdict is to be this exit code.
#[track_caller]
fn look(sandbox: &Sandbox, path: &str, code: i32) -> Value {
    let output: Output = sandbox.sh(&format!("imodel '{path}'"));
    let transcript = output.transcript();
    let model = output.exits(code).one("model");
    assert_eq!(model["complete"], code == 0, "{transcript}");
    model
}

/// Look at a path that is damaged: its problems, of which one holds this text.
#[track_caller]
fn refuses(sandbox: &Sandbox, path: &str, what: &str) -> Vec<String> {
    let model = look(sandbox, path, 1);
    let problems: Vec<String> =
        model["problems"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    assert!(problems.iter().any(|problem| problem.contains(what)), "no '{what}' in {problems:#?}");
    problems
}

/// Text as a pointer of git-lfs stands for a file.
fn pointer(size: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {size}\n", "ab".repeat(32))
}
