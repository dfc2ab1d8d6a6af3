//! The sample logs, the tails, the exits, and the bounds.
use super::{Class, Diagnosis, Exit, diagnose};
use crate::tail::{BYTES, LINES};
use record::Engine;
use std::collections::BTreeSet;
use std::path::PathBuf;

const CODE_0: Exit = Exit { code: Some(0), signal: None, oom_killed: false };
const CODE_1: Exit = Exit { code: Some(1), signal: None, oom_killed: false };
const CODE_2: Exit = Exit { code: Some(2), signal: None, oom_killed: false };
const CODE_127: Exit = Exit { code: Some(127), signal: None, oom_killed: false };
const KILL: Exit = Exit { code: None, signal: Some(9), oom_killed: false };
const ABRT: Exit = Exit { code: None, signal: Some(6), oom_killed: false };
const OOM_KILLED: Exit = Exit { code: Some(0), signal: None, oom_killed: true };
const OOM_SIGNAL: Exit = Exit { code: None, signal: Some(9), oom_killed: true };

/// Each sample: its file's name, which begins with its class; how the engine ended; what stands in the line that proves it (empty: there
/// is no such line).
type Sample = (&'static str, Exit, &'static str);

const LLAMA_CPP: &[Sample] = &[
    ("oom_gpu", CODE_1, "allocating 78412.64 MiB on device 0: cudaMalloc failed: out of memory"),
    ("oom_host", CODE_1, "ggml_aligned_malloc: insufficient memory (attempted to allocate 1958.89 MB)"),
    ("port_in_use", CODE_1, "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080"),
    ("missing_library", CODE_127, "error while loading shared libraries: libmtmd.so.0"),
    ("driver", ABRT, "CUDA error: the provided PTX was compiled with an unsupported toolchain"),
    ("abi", CODE_1, "version `GLIBCXX_3.4.32' not found"),
    ("nccl", ABRT, "CUDA error: unhandled system error (run with NCCL_DEBUG=INFO for details)"),
    ("missing_file", CODE_1, "0.00.121.302 E gguf_init_from_file: failed to open GGUF file"),
    ("missing_file-truncated", CODE_1, "0.00.006.531 E llama_model_load: error loading model: tensor"),
    ("missing_file-argument", CODE_1, "error: failed to open file '/llm-models/none.jinja'"),
    ("bad_flag", CODE_1, "error while handling argument \"-c\": stoi"),
    ("network_attempt", CODE_1, "get_repo_commit: error: HTTPLIB failed: Could not establish connection"),
    ("crash", ABRT, "GGML_ASSERT(n_inputs < GGML_SCHED_MAX_SPLIT_INPUTS) failed"),
    ("engine_too_old", CODE_1, "unknown model architecture: 'glm9'"),
    ("limit", ABRT, "what():  Resource temporarily unavailable"),
    ("cache_folder", ABRT, "cannot create directories: Permission denied [/nonexistent/.cache/llama.cpp]"),
    ("unknown", CODE_1, "n_batch and n_ubatch cannot both be zero"),
];

const VLLM: &[Sample] = &[
    ("oom_gpu", CODE_1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 448.00 MiB"),
    ("oom_gpu-taken", CODE_1, "ValueError: Free memory on device cuda:0 (12.31/79.14 GiB)"),
    ("oom_host", CODE_1, "DefaultCPUAllocator: can't allocate memory"),
    ("oom_host-killed", OOM_KILLED, ""),
    ("port_in_use", CODE_1, "OSError: [Errno 98] Address already in use"),
    ("missing_library", CODE_1, "ImportError: libcudart.so.12: cannot open shared object file"),
    ("missing_library-nvcc", CODE_1, "Could not find nvcc and default cuda_home='/usr/local/cuda'"),
    ("driver", CODE_1, "RuntimeError: The NVIDIA driver on your system is too old (found version 12040)"),
    ("abi", CODE_1, "_C.abi3.so: undefined symbol: _ZN3c105ErrorC2"),
    ("nccl", CODE_1, "RuntimeError: NCCL error: unhandled system error"),
    ("limit", CODE_1, "NCCL WARN Error while creating shared memory segment /dev/shm/nccl-UbzKZ9"),
    ("address", CODE_1, "socket.gaierror: [Errno -2] Name or service not known"),
    ("cache_folder", CODE_1, "PermissionError: [Errno 13] Permission denied: '/nonexistent/.cache/vllm'"),
    ("engine_too_old", CODE_1, "has model type `glm9` but Transformers does not recognize this architecture"),
    ("missing_file", CODE_1, "HFValidationError: Repo id must be in the form"),
    ("missing_file-pointer", CODE_1, "Error while deserializing header: header too large"),
    ("bad_flag", CODE_2, "vllm serve: error: unrecognized arguments: --gpu-memory-utilisation 0.9"),
    ("bad_flag-value", CODE_1, "Value error, User-specified max_model_len (262144)"),
    ("network_attempt", CODE_1, "HarmonyError: error downloading or loading vocab file"),
    ("network_attempt-cubin", CODE_1, "Max retries reached. Download failed."),
    ("crash", CODE_0, "torch.AcceleratorError: CUDA error: an illegal memory access was encountered"),
    ("unknown", CODE_1, "ValueError: There is no module or parameter named 'lm_head.input_scale'"),
];

const SGLANG: &[Sample] = &[
    ("oom_gpu", KILL, "Exception: Capture cuda graph failed: CUDA out of memory"),
    ("oom_gpu-kv", KILL, "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static"),
    (
        "oom_host",
        KILL,
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 137438953472 bytes",
    ),
    ("limit", KILL, "unable to allocate shared memory(shm) for file </torch_212_3391_0>"),
    ("address", CODE_1, "error while attempting to bind on address ('203.0.113.9', 30000)"),
    ("cache_folder", KILL, "PermissionError: [Errno 13] Permission denied: '/nonexistent/.cache/flashinfer'"),
    ("engine_too_old", KILL, "Model architectures ['Glm9ForCausalLM'] are not supported for now"),
    ("oom_host-killed", OOM_SIGNAL, ""),
    ("port_in_use", CODE_1, "error while attempting to bind on address ('0.0.0.0', 30000)"),
    ("missing_library", CODE_1, "ImportError: libnvrtc.so.13: cannot open shared object file"),
    ("missing_library-nvcc", KILL, "/bin/sh: 1: nvcc: not found"),
    ("driver", CODE_1, "Error 803: system has unsupported display driver / cuda driver combination"),
    ("driver-none", CODE_1, "RuntimeError: No accelerator (CUDA, XPU, HPU, NPU, MUSA, MPS)"),
    ("abi", CODE_1, "common_ops.abi3.so: undefined symbol: _ZN5torch3jit17parseSchemaOrNameERKSsb"),
    ("abi-flashinfer", CODE_1, "flashinfer-cubin version (0.7.1) does not match flashinfer version (0.7.2)"),
    ("nccl", KILL, "RuntimeError: NCCL error: unhandled system error"),
    ("missing_file", KILL, "Cannot find any model weights with `/llm-models/GLM-4.7`"),
    ("bad_flag", CODE_2, "launch_server.py: error: argument --tool-call-parser: invalid choice: 'glm48'"),
    ("network_attempt", CODE_1, "LocalEntryNotFoundError: An error happened while trying to locate the file"),
    ("crash", KILL, "Fatal Python error: Segmentation fault"),
    ("unknown", KILL, "KeyError: 'model.layers.92.eh_proj.weight'"),
];

fn logs(engine: Engine) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/logs").join(engine.id())
}

fn log(engine: Engine, name: &str) -> Vec<String> {
    let path = logs(engine).join(format!("{name}.log"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(str::to_owned).collect()
}

fn lines(texts: &[&str]) -> Vec<String> {
    texts.iter().copied().map(str::to_owned).collect()
}

fn found(engine: Engine, exit: Exit, tail: &[&str]) -> (Class, Option<String>) {
    let Diagnosis { class, line, .. } = diagnose(engine, exit, &lines(tail));
    (class, line)
}

#[test]
fn each_sample_log_gets_its_class_and_the_line_that_proves_it() {
    for (engine, samples) in [(Engine::LlamaCpp, LLAMA_CPP), (Engine::Vllm, VLLM), (Engine::Sglang, SGLANG)] {
        for &(name, exit, proof) in samples {
            let diagnosis = diagnose(engine, exit, &log(engine, name));
            let class = name.split('-').next().unwrap();
            assert_eq!(diagnosis.class.id(), class, "{engine}/{name}: {diagnosis:?}");
            match &diagnosis.line {
                Some(line) => {
                    assert!(!proof.is_empty() && line.contains(proof), "{engine}/{name}: {diagnosis:?}");
                }
                None => assert_eq!(proof, "", "{engine}/{name}"),
            }
        }
    }
}

#[test]
fn every_class_has_a_sample_for_every_engine_and_no_sample_is_forgotten() {
    for (engine, samples) in [(Engine::LlamaCpp, LLAMA_CPP), (Engine::Vllm, VLLM), (Engine::Sglang, SGLANG)] {
        // llama.cpp says of an address only that it could not bind: its keeper asks the system why. That one hangs, no log says.
        let told =
            |class: &Class| (engine, *class) != (Engine::LlamaCpp, Class::Address) && *class != Class::Hung;
        for class in Class::ALL.into_iter().filter(told) {
            assert!(samples.iter().any(|(name, ..)| *name == class.id()), "{engine} lacks {class}");
        }
        let files: BTreeSet<String> = std::fs::read_dir(logs(engine))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let named = samples.iter().map(|(name, ..)| (*name).to_owned()).chain(["benign".to_owned()]);
        assert_eq!(files, named.collect(), "{engine}");
    }
}

#[test]
fn benign_logs_with_frightening_words_prove_nothing() {
    for engine in Engine::ENGINES {
        let tail = log(engine, "benign");
        for exit in [CODE_0, CODE_1, KILL] {
            let diagnosis = diagnose(engine, exit, &tail);
            assert_eq!((diagnosis.class, &diagnosis.line), (Class::Unknown, &None), "{engine}: {exit:?}");
        }
        assert_eq!(diagnose(engine, ABRT, &tail).class, Class::Crash, "{engine}");
        assert_eq!(diagnose(engine, OOM_SIGNAL, &tail).class, Class::OomHost, "{engine}");
    }
}

#[test]
fn an_exit_proves_only_what_it_can() {
    let silent = |exit| found(Engine::Vllm, exit, &[]);
    assert_eq!(silent(KILL), (Class::Unknown, None));
    assert_eq!(silent(OOM_SIGNAL), (Class::OomHost, None));
    assert_eq!(silent(CODE_127), (Class::Unknown, None));
    assert_eq!(silent(Exit::default()), (Class::Unknown, None));
    for signal in [4, 6, 8, 11] {
        assert_eq!(silent(Exit { signal: Some(signal), ..Exit::default() }).0, Class::Crash, "{signal}");
        assert_eq!(silent(Exit { code: Some(128 + signal), ..Exit::default() }).0, Class::Crash, "{signal}");
    }
    // What a Python engine maps that cannot be had is /dev/shm; what llama.cpp maps is its model.
    let bus = Exit { signal: Some(7), ..Exit::default() };
    assert_eq!((silent(bus).0, found(Engine::LlamaCpp, bus, &[]).0), (Class::Limit, Class::Crash));
    assert_eq!(silent(Exit { signal: Some(15), ..Exit::default() }).0, Class::Unknown);
}

#[test]
fn a_killed_neighbour_does_not_outweigh_what_the_log_proves() {
    let tail = [
        "ValueError: Free memory on device cuda:0 (1/79 GiB) on startup is less than desired GPU memory utilization (0.9)",
    ];
    assert_eq!(found(Engine::Vllm, OOM_KILLED, &tail).0, Class::OomGpu);
    let killed = log(Engine::Sglang, "oom_host-killed");
    assert_eq!(diagnose(Engine::Sglang, KILL, &killed).class, Class::Crash);
}

#[test]
fn a_process_that_went_without_a_word_is_a_crash() {
    let died = "ERROR 11-21 10:02:13 [core_client.py:564] Engine core proc EngineCore_DP0 died unexpectedly, shutting down client.";
    assert_eq!(found(Engine::Vllm, CODE_0, &[died]), (Class::Crash, Some(died.to_owned())));
    assert_eq!(found(Engine::Vllm, CODE_0, &["ValueError: odd", died]).0, Class::Unknown);
}

#[test]
fn the_bridge_is_told_apart_too() {
    let busy = "ibridge: cannot listen on 127.0.0.1:11899: Address already in use (os error 98)";
    assert_eq!(found(Engine::Bridge, CODE_1, &[busy]), (Class::PortInUse, Some(busy.to_owned())));
}

#[test]
fn colours_and_overwritten_progress_are_no_part_of_a_line() {
    let tail = [
        "Loading:  40%\rLoading: 100%\r\x1b[0;36m(EngineCore pid=2)\x1b[0;0m ImportError: a.so: undefined symbol: b\r",
    ];
    let line = "(EngineCore pid=2) ImportError: a.so: undefined symbol: b".to_owned();
    assert_eq!(found(Engine::Vllm, CODE_1, &tail), (Class::Abi, Some(line)));
}

#[test]
fn only_the_end_of_a_log_is_looked_at() {
    let old = "OSError: [Errno 98] Address already in use".to_owned();
    let class = |tail: &[String]| diagnose(Engine::Vllm, CODE_1, tail).class;
    let quiet = |count: usize, width: usize| vec!["x".repeat(width); count];
    assert_eq!(class(&[vec![old.clone()], quiet(LINES - 1, 10)].concat()), Class::PortInUse);
    assert_eq!(class(&[vec![old.clone()], quiet(LINES, 10)].concat()), Class::Unknown);
    assert_eq!(class(&[vec![old.clone()], quiet(BYTES / 8000, 8000)].concat()), Class::PortInUse);
    assert_eq!(class(&[vec![old.clone()], quiet(BYTES / 8000 + 1, 8000)].concat()), Class::Unknown);
    let wide = format!("{old} {}", "ä".repeat(BYTES));
    let diagnosis = diagnose(Engine::Vllm, CODE_1, &[wide]);
    assert_eq!(diagnosis.class, Class::PortInUse);
    assert!(diagnosis.line.unwrap().len() <= 1024);
}

#[test]
fn every_hint_is_one_plain_line() {
    let lines =
        [None, Some("invalid choice: 'glm47'"), Some("Illegal instruction"), Some("compute capability 7.5")];
    for (class, engine) in
        Class::ALL.into_iter().flat_map(|class| Engine::ENGINES.map(|engine| (class, engine)))
    {
        for hint in lines.map(|line| class.hint(engine, line)) {
            assert!(!hint.is_empty() && !hint.contains('\n') && !hint.ends_with('.'), "{class}: {hint}");
            assert!(!hint.contains("imodel"), "{class}: {hint}");
        }
    }
    assert_eq!(diagnose(Engine::Vllm, CODE_1, &[]).hint, "read the log from its first error on");
}

#[test]
fn a_hint_is_as_exact_as_its_line_and_its_engine() {
    let hint = |engine, line| diagnose(engine, CODE_1, &lines(&[line])).hint;
    let choice =
        "launch_server.py: error: argument --tool-call-parser: invalid choice: 'glm47' (choose from 'glm45')";
    assert!(hint(Engine::Sglang, choice).contains("a newer version of the engine"));
    let parser = "KeyError: 'invalid tool call parser: glm47 (chose from { glm45 })'";
    assert!(hint(Engine::Vllm, parser).contains("a newer version of the engine"));
    let nccl = "RuntimeError: NCCL error: unhandled system error";
    assert!(hint(Engine::Sglang, nccl).contains("watchdog_timeout"));
    assert!(hint(Engine::Vllm, nccl).contains("distributed_timeout_seconds"));
    let old = "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.";
    assert!(hint(Engine::Vllm, old).starts_with("this GPU cannot"));
}

/// `>> engine exit | class | words of the proof | where it was seen`, then the tail.
fn tails(text: &str) -> impl Iterator<Item = (Engine, Exit, [&str; 2], Vec<String>)> {
    text.split("\n>> ").skip(1).map(|part| {
        let (head, tail) = part.split_once('\n').unwrap();
        let fields: Vec<&str> = head.split('|').map(str::trim).collect();
        let &[who, class, words, _source] = fields.as_slice() else { panic!("{head}") };
        let (engine, exit) = who.split_once(' ').unwrap();
        let (kind, number) = exit.split_once(':').unwrap();
        let number = number.parse().ok();
        let exit = match kind {
            "code" => Exit { code: number, ..Exit::default() },
            _ => Exit { signal: number, ..Exit::default() },
        };
        (engine.parse().unwrap(), exit, [class, words], tail.lines().map(str::to_owned).collect())
    })
}

#[test]
fn each_tail_gets_the_class_and_the_line_that_who_knows_the_engines_would_pick() {
    let path = logs(Engine::Vllm).with_file_name("tails.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    for (engine, exit, [class, words], tail) in tails(&text) {
        let found = diagnose(engine, exit, &tail);
        let line = found.line.unwrap_or_default();
        if found.class.id() != class || !line.contains(words) || line.is_empty() != words.is_empty() {
            wrong.push(format!("{engine} {class} {words}: {} {line}", found.class));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tails(&text).count() >= 150);
}

#[test]
fn what_a_request_met_is_no_reason_once_the_server_serves() {
    let startup = "INFO:     Application startup complete.";
    let refused = "(APIServer pid=1) ERROR 11-29 02:42:37 [api_router.py:75] VLLMValidationError: No such file or directory: [Errno 2] 'x'";
    assert_eq!(found(Engine::Vllm, CODE_0, &[startup, refused]), (Class::Unknown, None));
    let engine =
        "(EngineCore pid=2) ERROR 11-29 02:42:38 [core.py:1512] torch.OutOfMemoryError: CUDA out of memory";
    assert_eq!(found(Engine::Vllm, CODE_0, &[startup, refused, engine]).0, Class::OomGpu);
    let send =
        "0.09.119.119 E srv    send_error: task id = 0, error: failed to open x: No such file or directory";
    assert_eq!(found(Engine::LlamaCpp, CODE_0, &[send]), (Class::Unknown, None));
}
