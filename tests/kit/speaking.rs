//! Programs that say which options they have, as real engines said it, and do nothing else.
use super::root;

/// A script in the place of `llama-server`, or of the interpreter of an environment with vLLM or SGLang.
pub(crate) fn speaking(engine: &str) -> String {
    let (option, answer) = match engine {
        "llama-cpp" => ("--help", "llama-cpp-11549.help.gz"),
        "vllm" => ("-c", "vllm-0.32.0.jsonl.gz"),
        "sglang" => ("-c", "sglang-0.5.23.jsonl.gz"),
        other => panic!("{other} is no engine"),
    };
    speaking_as(option, answer)
}

/// A script that answers this option with a stored vocabulary.
pub(crate) fn speaking_as(option: &str, answer: &str) -> String {
    let answer = root().join("tests/data/vocabularies").join(answer);
    format!("#!/bin/sh\n[ \"$1\" = {option} ] && exec gzip -dc '{}'\n", answer.display())
}
