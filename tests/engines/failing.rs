//! Failures that the real engines are made to have: the class and the line that `istat` tells of each.
use super::{LIMIT, Real, on};
use std::fmt::Write;

/// What is done to the model in the folder `m`, in Python; lines of the server table; the class; words of the line.
type Failure = (&'static str, &'static str, &'static str, &'static str);

/// Write another value into the model's configuration.
macro_rules! config {
    ($change:literal) => {
        concat!(
            "import json; c = json.load(open('m/config.json')); c.update(",
            $change,
            "); json.dump(c, open('m/config.json', 'w'))"
        )
    };
}

const REMOVED: &str = "import os; os.remove('m/model.safetensors')";
const CUT: &str = "import os; os.truncate('m/model.safetensors', 100_000)";
const POINTER: &str = "open('m/model.safetensors', 'w').write('version https://git-lfs.github.com/spec/v1\\noid sha256:1\\nsize 9\\n')";
const SHARD: &str = "import json, os; os.rename('m/model.safetensors', 'm/model-00001-of-00002.safetensors'); \
                     map = {'lm_head.weight': 'model-00002-of-00002.safetensors', 'model.norm.weight': 'model-00001-of-00002.safetensors'}; \
                     json.dump({'weight_map': map}, open('m/model.safetensors.index.json', 'w'))";
const BROKEN: &str = "open('m/config.json', 'w').write('{\"a\": ')";
const TOKENIZER: &str = "open('m/tokenizer.json', 'w').write('{\"version\": ')";

const VLLM: &[Failure] = &[
    (config!("architectures=['Glm9ForCausalLM']"), "", "engine_too_old", "Glm9ForCausalLM"),
    (config!("model_type='glm9'"), "", "engine_too_old", "glm9"),
    (config!("quantization_config={'quant_method': 'nvfp9'}"), "", "engine_too_old", "nvfp9"),
    (config!("rope_scaling={'rope_type': 'zarn', 'factor': 4.0}"), "", "engine_too_old", "zarn"),
    (REMOVED, "", "missing_file", "Cannot find any model weights"),
    (CUT, "", "missing_file", "incomplete metadata"),
    (POINTER, "", "missing_file", "header too large"),
    (SHARD, "", "missing_file", "Weight files referenced in index but missing"),
    (BROKEN, "", "missing_file", "is not a valid JSON file"),
    (TOKENIZER, "", "missing_file", "JSONDecodeError"),
    ("", "max_model_len = 100000", "bad_flag", "User-specified max_model_len (100000)"),
    ("", "quantization = 'awq'", "bad_flag", "Cannot find the config file for awq"),
    (
        "",
        "enable_auto_tool_choice = true\ntool_call_parser = 'nope'",
        "bad_flag",
        "invalid tool call parser: nope",
    ),
];

const SGLANG: &[Failure] = &[
    (config!("architectures=['Glm9ForCausalLM']"), "", "engine_too_old", "Glm9ForCausalLM"),
    (config!("model_type='glm9'"), "", "engine_too_old", "glm9"),
    (REMOVED, "", "missing_file", "Cannot find any model weights"),
    (CUT, "", "missing_file", "incomplete metadata"),
    (POINTER, "", "missing_file", "header too large"),
    (BROKEN, "", "missing_file", "JSON"),
    (SHARD, "", "missing_file", "shard file(s) missing from"),
    (config!("quantization_config={'quant_method': 'nvfp9'}"), "", "engine_too_old", "nvfp9"),
    (config!("rope_scaling={'rope_type': 'zarn', 'factor': 4.0}"), "", "engine_too_old", "zarn"),
    ("", "quantization = 'awq'", "bad_flag", "Cannot find the config file for awq"),
    ("", "context_length = 100000", "bad_flag", "context_length (100000)"),
];

#[test]
fn failures_of_vllm_are_named_by_class_and_line() {
    on(&["vllm"], "failures by class and line", |real| each_is_told(real, VLLM));
}

#[test]
fn failures_of_sglang_are_named_by_class_and_line() {
    on(&["sglang"], "failures by class and line", |real| each_is_told(real, SGLANG));
}

fn each_is_told(real: &Real, failures: &[Failure]) {
    drop(real.sandbox.sh("cp -r m whole").exits(0));
    let mut wrong = String::new();
    for (change, lines, class, words) in failures {
        real.sandbox.write("change.py", change);
        drop(real.sandbox.sh("rm -r m; cp -r whole m; python3 change.py").exits(0));
        real.configure(lines);
        let probe = format!("| ilaunch --replace | iprobe --timeout {}", LIMIT.as_secs());
        let code = real.pipe(&probe).code;
        let status = real.status();
        let said =
            (status["class"].as_str().unwrap_or_default(), status["evidence"].as_str().unwrap_or_default());
        let right = code != 0 && said.0 == *class && said.1.contains(words);
        println!("{}: {} {}", if right { "right" } else { "WRONG" }, said.0, said.1);
        if !right {
            writeln!(wrong, "{class} {words}: exit {code}, {said:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
