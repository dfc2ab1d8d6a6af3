//! vLLM's OpenAI-compatible server.
use crate::{
    Activity, BusySwitch, FileSyntax, ListSyntax, ModelRole, ModelSyntax, Probe, Profile, Tls, Weights,
};
use std::time::Duration;

pub(crate) static PROFILE: Profile = Profile {
    port: 8000,
    log_prefix: "vllm-server",
    module: Some(("api_server_module", "vllm.entrypoints.openai.api_server")),
    fraction_is_option: true,
    imports: &["torch", "vllm"],
    model: "model",
    model_elsewhere: &["config"],
    weights: Weights::Folder,
    other_models: &[
        ("speculative-config", ModelRole::Draft, ModelSyntax::Json("model")),
        ("lora-modules", ModelRole::Lora, ModelSyntax::Named),
        ("tokenizer", ModelRole::Tokenizer, ModelSyntax::Path),
    ],
    served_name: "served-model-name",
    secret_variables: &[("api-key", "VLLM_API_KEY"), ("hf-token", "HF_TOKEN")],
    config_file: Some("config"),
    parallel: &["tensor-parallel-size", "pipeline-parallel-size"],
    spread: &["nnodes", "headless", "data-parallel-address"],
    // A repeated flag overwrites.
    lists: ListSyntax::Values,
    other_lists: &[
        ("allowed-origins", ListSyntax::Json),
        ("allowed-methods", ListSyntax::Json),
        ("allowed-headers", ListSyntax::Json),
        ("disable-access-log-for-endpoints", ListSyntax::Comma),
        ("device-ids", ListSyntax::Comma),
        ("middleware", ListSyntax::Repeat),
    ],
    // Every option of its configuration classes has a `--no-` form by now. Only those that are on by default, or by
    // circumstance, need it; for the others an older version may know no such flag.
    negatable: &[
        "async-scheduling",
        "cohere-is-reasoning-model",
        "disable-hybrid-kv-cache-manager",
        "enable-chunked-prefill",
        "enable-flash-late-interaction",
        "enable-log-deltas",
        "enable-log-requests",
        "enable-prefix-caching",
        "log-error-stack",
        "use-tqdm-on-load",
    ],
    switches: &[],
    spellings: &[
        // It rewrites this one itself, before its parser sees it (vllm/utils/argparse_utils.py).
        ("-O", "optimization-level"),
        ("-asc", "api-server-count"),
        ("-dp", "data-parallel-size"),
        ("-pp", "pipeline-parallel-size"),
        ("-q", "quantization"),
        ("-sc", "speculative-config"),
        ("-tp", "tensor-parallel-size"),
    ],
    successors: &[
        ("task", "it is runner and convert now: runner = \"generate\" or \"pooling\""),
        ("swap-space", "it is gone with the V0 engine; leave it out"),
        (
            "disable-log-requests",
            "requests are not logged by default; enable_log_requests = true turns it on",
        ),
        ("rope-scaling", "it is part of hf_overrides now: hf_overrides = { rope_parameters = { ... } }"),
        (
            "rope-theta",
            "it is part of hf_overrides now: hf_overrides = { rope_parameters = { rope_theta = ... } }",
        ),
        (
            "guided-decoding-backend",
            "it is structured_outputs_config now: structured_outputs_config = { backend = ... }",
        ),
        ("num-lookahead-slots", "it is part of speculative_config now"),
        ("speculative-model", "it is part of speculative_config now: speculative_config = { model = ... }"),
        ("num-speculative-tokens", "it is part of speculative_config now"),
        ("use-v2-block-manager", "it is gone with the V0 engine; leave it out"),
        ("num-scheduler-steps", "it is gone with the V0 engine; leave it out"),
        ("enable-reasoning", "reasoning_parser alone turns it on; leave it out"),
        ("cuda-graph-sizes", "it is cudagraph_capture_sizes now"),
        ("compilation-mode", "it is part of compilation_config now"),
        ("device", "it runs on what it was built for; leave it out"),
        ("context-length", "it is max_model_len here"),
        ("ctx-size", "it is max_model_len here"),
        ("mem-fraction-static", "it is gpu_memory_utilization here"),
        ("max-running-requests", "it is max_num_seqs here"),
        ("chunked-prefill-size", "it is max_num_batched_tokens here"),
        ("disable-cuda-graph", "it is enforce_eager here"),
        ("disable-radix-cache", "it is enable_prefix_caching = false here"),
        ("ep-size", "it is enable_expert_parallel = true here"),
        ("alias", "it is served_model_name here"),
    ],
    files: &[
        ("config", FileSyntax::File),
        ("log-config-file", FileSyntax::File),
        ("reasoning-parser-plugin", FileSyntax::Maybe),
        ("ssl-ca-certs", FileSyntax::File),
        ("ssl-certfile", FileSyntax::File),
        ("ssl-keyfile", FileSyntax::File),
        ("tool-parser-plugin", FileSyntax::Maybe),
        ("allowed-local-media-path", FileSyntax::Folder),
        ("chat-template", FileSyntax::Maybe),
        ("generation-config", FileSyntax::Maybe),
        ("hf-config-path", FileSyntax::Maybe),
        ("tokenizer", FileSyntax::Maybe),
        ("lora-modules", FileSyntax::Within),
        ("speculative-config", FileSyntax::Within),
    ],
    preset: None,
    // Before version 0.33 it reads CUDA_VISIBLE_DEVICES as whole numbers (vllm/platforms/interface.py).
    gpus_by_number: true,
    phases: &[
        ("non-default args:", "reading the model's configuration"),
        ("Initializing a V1 LLM engine", "starting workers"),
        ("Starting to load model", "loading weights"),
        ("Loading weights took", "profiling memory"),
        ("Warming up model for the compilation", "compiling and warming up"),
        ("Dynamo bytecode transform time", "compiling and warming up"),
        ("Capturing CUDA graph", "capturing CUDA graphs"),
        ("init engine (", "starting the server"),
    ],
    open: Some((
        "only /v1, /v2, /inference and /cohere",
        "/invocations generates for anybody, /tokenize, /detokenize, /metrics, /load, /version and /docs answer",
    )),
    tls: Some(Tls {
        key: "ssl-keyfile",
        certificate: "ssl-certfile",
        one_file: true,
        client_certificates: Some("ssl-cert-reqs"),
    }),
    // Its root path is for a proxy that takes it away: it answers without.
    path_prefix: None,
    unreachable: &[
        (
            "uds",
            "it listens on a socket in the file system, which is not supported",
            "leave it out: server.host and server.port say where it listens",
        ),
        ("grpc", "it speaks gRPC, and is asked by HTTP", "leave it out"),
    ],
    unread: &[
        // Without a server of its own it runs by `vllm serve` alone (vllm/entrypoints/cli/serve.py).
        (
            "headless",
            "the module that is started here does not read it, and would serve all the same",
            "leave it out, or start the machines that serve nothing with vllm serve",
        ),
        (
            "node-rank",
            "a machine that is not the first serves nothing, and runs with headless, which the module that is started here does \
             not read",
            "leave it out, or start the machines that serve nothing with vllm serve",
        ),
    ],
    node: None,
    stop_timeout_s: 30,
    stall_timeout_s: 1200,
    // Its port opens only once everything is loaded.
    probe: Probe {
        health_path: "/health",
        timeout: Duration::from_secs(10),
        first_pause: Duration::from_millis(5),
        last_pause: Duration::from_millis(40),
    },
    activity: Activity::Metrics {
        path: "/metrics",
        prefix: "vllm:",
        requests: &["vllm:num_requests_running", "vllm:num_requests_waiting"],
        served: &["vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:request_success_total"],
    },
    busy_switch: Some(BusySwitch { flag: "disable-log-stats", on: false, default: false }),
    one_process: false,
};
