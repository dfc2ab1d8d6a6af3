//! Flags are written as the engine's own parser reads them, and refused where it would not.
use super::{good, machine, plan, words};
use crate::kit::{Sandbox, Tiny, free_port, speaking};
use serde_json::{Value, json};

/// The arguments of a llama.cpp instance behind its model and port, or its failures.
fn llama(lines: &str) -> Result<String, Vec<String>> {
    let sandbox = machine();
    let output = plan(&sandbox, "llama-cpp", &(good("a") + lines));
    match output.all("plan").first() {
        Some(plan) => {
            let words = words(plan);
            let (_, rest) = words.split_once("--port ").unwrap();
            let rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
            Ok(rest.replace("--host 127.0.0.1", "").trim().to_owned())
        }
        None => Err(output
            .all("failed")
            .iter()
            .map(|f| format!("{} | {}", f["cause"].as_str().unwrap(), f["hint"].as_str().unwrap_or_default()))
            .collect()),
    }
}

#[test]
fn llama_cpp_gets_each_value_as_its_parser_reads_it() {
    for (lines, expected) in [
        ("samplers = ['top_k', 'top_p', 'temperature']", "--samplers top_k;top_p;temperature"),
        ("logit_bias = ['100+1', '200-1']", "--logit-bias 100+1 --logit-bias 200-1"),
        ("dry_sequence_breaker = [\"\\n\", ':']", "--dry-sequence-breaker \n --dry-sequence-breaker :"),
        ("reverse_prompt = ['a,b', 'c']", "--reverse-prompt a,b --reverse-prompt c"),
        ("tensor_split = [3, 1]\nngl = 20", "--tensor-split 3,1 --gpu-layers 20"),
        (
            "tensor_split = '3,1'\nspec_type = ['ngram-mod', 'draft-mtp']",
            "--tensor-split 3,1 --spec-type ngram-mod,draft-mtp",
        ),
        ("control_vector_layer_range = [2, 9]", "--control-vector-layer-range 2 9"),
        ("c = 512\nngl = 'all'\nfa = true", "--ctx-size 512 --gpu-layers all --flash-attn on"),
        ("flash_attn = false\ncpu_strict = true", "--flash-attn off --cpu-strict 1"),
        ("ctx-size = 1e5", "--ctx-size 100000"),
        ("warmup = false\nno_slots = true\nkvo = false", "--no-warmup --no-slots --no-kv-offload"),
        ("no_warmup = false\nswa_full = false", "--warmup"),
        ("n_predict = -1\nseed = -7", "--predict -1 --seed -7"),
        ("load_mode = 'none'\ntemp = 0.70", "--load-mode none --temp 0.70"),
        ("chat_template_kwargs = { a = 1.0 }", "--chat-template-kwargs {\"a\":1.0}"),
        ("extra_args = ['-c', '-5', '--no-mmproj-auto']", "-c -5 --no-mmproj-auto"),
    ] {
        assert_eq!(llama(lines).as_deref(), Ok(expected), "{lines}");
    }
}

#[test]
fn a_short_name_of_the_model_or_of_a_parallel_size_is_seen_by_planning_too() {
    let sandbox = machine();
    let toml = format!("[instance.a.server]\nm = '$M/m.gguf'\na = 'tiny'\nport = {}\n", free_port());
    let planned = plan(&sandbox, "llama-cpp", &toml).exits(0).one("plan");
    assert_eq!(
        (&planned["model"], &planned["served_name"]),
        (&json!("$SANDBOX/models/m.gguf"), &json!("tiny"))
    );
    super::gpus(&sandbox, 2);
    for (engine, model, lines) in
        [("vllm", "model", "tp = 2\npp = 2"), ("sglang", "model_path", "tp = 2\npp = 2")]
    {
        let toml = format!("[instance.a.server]\n{model} = '$M/folder'\nport = {}\n{lines}\n", free_port());
        let failed = plan(&sandbox, engine, &toml).exits(69).one("failed");
        assert_eq!(failed["what"], "instance a needs 4 GPUs", "{engine}");
    }
}

#[test]
fn what_llama_cpp_would_not_take_is_refused_before_it_starts() {
    for (lines, expected) in [
        ("mmap = false", "server.mmap: this llama-server has no such flag | it is load_mode now"),
        ("ctx_sizes = 1", "server.ctx_sizes: this llama-server has no such flag | did you mean ctx_size?"),
        ("model_path = '/m'", "server.model_path: this llama-server has no such flag | did you mean model?"),
        (
            "draft_max = 4",
            "server.draft_max: this engine no longer has --draft | the argument has been removed",
        ),
        (
            "cache_type_k = 'q9'",
            "server.cache_type_k: 'q9' is no choice of --cache-type-k | it is one of f32",
        ),
        ("threads = 'many'", "server.threads: 'many' is not a whole number"),
        ("threads = 1.5", "server.threads: '1.5' is not a whole number"),
        ("threads_batch = 0.5", "server.threads_batch: '0.5' is not a whole number"),
        (
            "ngl = 'some'",
            "server.ngl: 'some' is no choice of --gpu-layers | it is a whole number, or one of auto, all",
        ),
        ("load_mode = 'map'", "server.load_mode: 'map' is no choice of --load-mode | did you mean"),
        (
            "reasoning_format = 'openai'",
            "server.reasoning_format: 'openai' is no choice of --reasoning-format",
        ),
        ("tensor_split = '3,x'", "server.tensor_split: '3,x' is not a number"),
        ("spec_type = 'draft-simple,ngram'", "server.spec_type: 'ngram' is no choice of --spec-type"),
        ("metrics = 'yes'", "server.metrics: it takes no value"),
        ("ctx_size = true", "server.ctx_size: it takes a value, not true or false"),
        ("seed = [1, 2]", "server.seed: it takes one value, not 2"),
        ("control_vector_layer_range = [2]", "server.control_vector_layer_range: it takes 2 values, not 1"),
        ("c = 1\nctx_size = 2", "server.ctx_size and server.c are one flag"),
        (
            "extra_args = ['--no-mmap']",
            "extra_args: --no-mmap: this llama-server has no such flag | it is load_mode",
        ),
    ] {
        let failures = llama(lines).unwrap_err();
        assert!(failures.len() == 1 && failures[0].starts_with(expected), "{lines}: {failures:?}");
    }
}

#[test]
fn a_refused_flag_is_named_with_its_place_and_all_are_said_at_once() {
    let sandbox = machine();
    let toml = good("a") + "threadz = 1\nextra_args = ['--verbose',\n  '--bogus']\n";
    let failures = plan(&sandbox, "llama-cpp", &toml).exits(65).all("failed");
    let places: Vec<&str> = failures.iter().map(|failed| failed["what"].as_str().unwrap()).collect();
    assert_eq!(places, ["$SANDBOX/llama-cpp.toml:4:1", "$SANDBOX/llama-cpp.toml:6:3"]);
}

#[test]
fn a_python_engine_gets_each_value_as_its_parser_reads_it() {
    let sandbox = machine();
    let args = |engine: &str, lines: &str| {
        let model = if engine == "vllm" { "model" } else { "model_path" };
        let toml = format!("[instance.a.server]\n{model} = '$M/folder'\nport = {}\n{lines}\n", free_port());
        let output = plan(&sandbox, engine, &toml);
        match output.all("plan").first() {
            Some(plan) => words(plan).split_once("--port ").unwrap().1.split_once(' ').unwrap().1.to_owned(),
            None => output.all("failed").iter().map(|f| f["cause"].as_str().unwrap().to_owned()).collect(),
        }
    };
    for (engine, lines, expected) in [
        ("vllm", "tp = 1\nep = true", "--tensor-parallel-size 1 --enable-expert-parallel"),
        ("vllm", "O = 3", "--optimization-level 3"),
        ("vllm", "extra_args = ['-O3', '-O', '2', '-tp', '1']", "-O3 -O 2 -tp 1"),
        ("vllm", "extra_args = ['-P3']", "extra_args: -P3: this vllm-server has no such flag"),
        ("vllm", "device_ids = [0, 1]", "--device-ids 0,1"),
        ("vllm", "disable_cascade_attn = false", "--no-disable-cascade-attn"),
        ("vllm", "headless = false", ""),
        ("vllm", "max_num_seqs = 1e2\nmax_model_len = '32k'", "--max-num-seqs 100 --max-model-len 32k"),
        (
            "vllm",
            "\"speculative-config.num_speculative_tokens\" = 5",
            "--speculative-config.num_speculative_tokens 5",
        ),
        ("vllm", "middleware = ['a.b', 'c.d']", "--middleware a.b --middleware c.d"),
        ("vllm", "allowed_origins = ['*']", "--allowed-origins [\"*\"]"),
        ("vllm", "served_model_name = ['a', 'b']", "--served-model-name a b"),
        ("vllm", "chat_template = '-x'", "--chat-template=-x"),
        ("vllm", "task = 'generate'", "server.task: this vllm-server has no such flag"),
        ("vllm", "dtype = 'float17'", "server.dtype: 'float17' is no choice of --dtype"),
        ("vllm", "tp = 'two'", "server.tp: 'two' is not a whole number"),
        ("sglang", "tensor_parallel_size = 1", "--tp-size 1"),
        ("sglang", "hf_token = 'x'", "server.hf_token: this sglang-server has no such flag"),
        (
            "sglang",
            "disable_radix_cache = false\ncuda_graph_bs_decode = [1, 2]",
            "--cuda-graph-bs-decode 1 2",
        ),
        (
            "sglang",
            "lora_target_modules = ['-x', 'b']",
            "server.lora_target_modules: '-x' is no choice of --lora-target-modules",
        ),
    ] {
        let written = args(engine, lines).replace("--host 127.0.0.1", "");
        assert_eq!(written.trim(), expected, "{engine}: {lines}");
    }
}

#[test]
fn a_flag_of_another_engine_is_named_as_this_one_calls_it() {
    let sandbox = machine();
    for (engine, key, said) in [
        ("vllm", "context_length", "it is max_model_len here"),
        ("vllm", "device", "it runs on what it was built for; leave it out"),
        ("sglang", "max_model_len", "it is context_length here"),
        ("sglang", "enforce_eager", "it is disable_cuda_graph here"),
        ("llama-cpp", "max_model_len", "it is ctx_size here"),
        // One that is only like another is asked for.
        ("vllm", "max_modle_len", "did you mean max_model_len?"),
        ("vllm", "Max_Model_Len", "did you mean max_model_len?"),
    ] {
        let failed = plan(&sandbox, engine, &(good("a") + &format!("{key} = 1"))).all("failed");
        let cause = format!("server.{key}: this ");
        let told = failed.iter().find(|failed| failed["cause"].as_str().unwrap().starts_with(&cause));
        assert_eq!(told.unwrap()["hint"], said, "{engine}: {key}");
    }
}

#[test]
fn one_that_will_not_say_whether_it_is_busy_is_a_warning_where_that_is_wanted() {
    let sandbox = machine();
    for (engine, server, control, hint) in [
        ("sglang", "", "idle_stop_s = 60", Some("set enable_metrics = true in its server table")),
        ("sglang", "enable_metrics = true", "idle_stop_s = 60", None),
        ("sglang", "", "idle_stop_s = 0", None),
        ("vllm", "", "idle_stop_s = 60", None),
        (
            "vllm",
            "disable_log_stats = true",
            "liveness = 'answer'",
            Some("leave disable_log_stats out of its server table"),
        ),
        ("llama-cpp", "", "idle_stop_s = 60\nliveness = 'answer'", None),
        ("llama-cpp", "slots = false", "idle_stop_s = 60", Some("set slots = true in its server table")),
        ("llama-cpp", "", "idle_stop_s = 60\nallow = ['busy_untold']", None),
    ] {
        let lines = format!("{server}\n[instance.a.control]\n{control}\n");
        let model = if engine == "llama-cpp" { good("a") } else { super::named::python(engine, "") };
        let warned = plan(&sandbox, engine, &(model + &lines)).exits(0).all("warning");
        let told = warned.iter().find(|warning| warning["rule"] == "busy_untold");
        assert_eq!(told.map(|told| told["hint"].as_str().unwrap()), hint, "{engine}: {server}, {control}");
    }
}

#[test]
fn an_installed_engine_was_asked_by_iinstall_and_another_program_is_asked_once() {
    let mut sandbox = Sandbox::new();
    let tiny = Tiny::get();
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", tiny.archive.to_str().unwrap());
    sandbox.set("AUTO_INFER_LLAMA_CPP_INSTALL_DIR", &sandbox.text("llama"));
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", &sandbox.text("llama.toml"));
    let toml = format!("[instance.a.server]\nmodel = {:?}\nport = {}\nc = 512\n", tiny.model, free_port());
    sandbox.write("llama.toml", &toml);
    let plan = sandbox.sh("ienv llama-cpp | iinstall | iplan").exits(0).one("plan");
    assert!(words(&plan).contains("--ctx-size 512"), "{}", words(&plan));
    let kept: Value = serde_json::from_str(&sandbox.read("llama/current/vocabulary.json")).unwrap();
    assert_eq!((&kept["format"], &kept["parser"]), (&json!(1), &json!("llama_cpp")));
    assert!(!sandbox.path("run/vocabulary").exists());

    let asked = format!("#!/bin/sh\necho x >> '{}'\n", sandbox.text("asked"));
    let program = sandbox.script("own/llama-server", &speaking("llama-cpp").replace("#!/bin/sh\n", &asked));
    sandbox.write("llama.toml", format!("[master]\nllama_cpp_path = {program:?}\n{toml}"));
    for _ in 0..2 {
        let plan = sandbox.sh("ienv llama-cpp | iplan").exits(0).one("plan");
        assert!(words(&plan).contains("--ctx-size 512"), "{}", words(&plan));
    }
    assert_eq!(sandbox.read("asked"), "x\n");
}

#[test]
fn an_engine_that_does_not_say_what_it_takes_is_planned_by_our_table_with_a_warning() {
    let sandbox = machine();
    sandbox.script("bin/llama-server", "#!/bin/sh\necho nothing\n");
    let output = plan(&sandbox, "llama-cpp", &(good("a") + "flash_attn = true\nmmap = false\n")).exits(0);
    assert_eq!(output.one("warning")["rule"], "flags_unknown");
    assert!(words(&output.one("plan")).contains("--flash-attn on --no-mmap"));
    sandbox.script("bin/llama-server", "#!/usr/bin/env no-such-interpreter\n");
    let warning = plan(&sandbox, "llama-cpp", &good("a")).exits(0).one("warning");
    // Its quotation marks are those of the locale.
    for part in ["exit 127: /usr/bin/env: ", "no-such-interpreter", ": No such file or directory"] {
        assert!(warning["what"].as_str().unwrap().contains(part), "{warning}");
    }
    assert!(warning["hint"].as_str().unwrap().contains("install what it lacks"), "{warning}");
}

#[test]
fn the_options_of_an_engine_are_listed_for_a_person() {
    let sandbox = machine();
    sandbox.write("llama-cpp.toml", good("a"));
    // The line is typed as the example to start from has it.
    let example = sandbox.sh("ienv --example llama-cpp").exits(0).stdout;
    let line = example.lines().find(|line| line.contains("iplan --flags")).unwrap();
    let list = sandbox.sh(line.strip_prefix("# ").unwrap()).exits(0).stdout;
    let line = list.lines().find(|line| line.starts_with("-c, --ctx-size")).unwrap();
    assert!(line.contains("N") && line.ends_with("default 0"), "{line}");
    assert!(list.contains("--flash-attn on|off|auto") && !list.contains("{\""), "{list}");
    let none = sandbox.sh("ienv llama-cpp | iplan --flags vllm").exits(65);
    assert!(none.stderr.contains("ienv vllm | iplan --flags vllm"), "{}", none.stderr);
}
