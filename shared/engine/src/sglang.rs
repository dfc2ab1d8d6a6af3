//! SGLang's server.
use crate::{Activity, Lists, Names, Naming, Probe, Tls, Traits, Use, Weights};
use std::time::Duration;

pub(crate) static TRAITS: Traits = Traits {
    port: 30000,
    log_prefix: "sglang-server",
    module: Some(("server_module", "sglang.launch_server")),
    fraction_is_option: false,
    imports: &["torch", "sglang"],
    model: "model-path",
    model_elsewhere: &["config"],
    weights: Weights::Folder,
    other_models: &[
        ("speculative-draft-model-path", Use::Draft, Naming::Path),
        ("lora-paths", Use::Lora, Naming::Named),
        ("tokenizer-path", Use::Tokenizer, Naming::Path),
    ],
    served_name: "served-model-name",
    // No variable for the API key: all but the Hub's token goes by the configuration file.
    secret_variables: &[("hf-token", "HF_TOKEN")],
    config_file: Some("config"),
    parallel: &["tp-size", "pp-size"],
    spread: &["nnodes"],
    // `nargs='+'`: a repeated flag keeps only the last.
    lists: Lists::Values,
    other_lists: &[],
    // Its switches are named enable-… and disable-…, without a `--no-` form.
    negatable: &[],
    switches: &[],
    spellings: &[
        ("--model", "model-path"),
        ("--speculative-draft-model", "speculative-draft-model-path"),
        ("--tp", "tp-size"),
        ("--tensor-parallel-size", "tp-size"),
        ("--pp", "pp-size"),
        ("--pipeline-parallel-size", "pp-size"),
        ("--dp", "dp-size"),
        ("--data-parallel-size", "dp-size"),
        ("--ep", "ep-size"),
        ("--expert-parallel-size", "ep-size"),
    ],
    successors: &[("hf-token", "it reads the variable: HF_TOKEN in [instance.env]")],
    files: &[
        ("config", Names::File),
        ("ssl-ca-certs", Names::File),
        ("ssl-certfile", Names::File),
        ("ssl-keyfile", Names::File),
        ("chat-template", Names::Maybe),
        ("completion-template", Names::Maybe),
        ("quantization-param-path", Names::Maybe),
        ("speculative-draft-model-path", Names::Maybe),
        ("speculative-token-map", Names::Maybe),
        ("tokenizer-path", Names::Maybe),
        ("lora-paths", Names::Within),
    ],
    preset: None,
    gpus_by_number: false,
    phases: &[
        ("server_args=", "starting workers"),
        ("Load weight begin", "loading weights"),
        ("Load weight end", "allocating the KV cache"),
        ("Capture cuda graph begin", "capturing CUDA graphs"),
        ("Capture cuda graph end", "starting the server"),
        ("Engine startup timings", "starting the server"),
        ("Application startup complete", "warming up"),
    ],
    open: None,
    tls: Some(Tls {
        key: "ssl-keyfile",
        certificate: "ssl-certfile",
        one_file: false,
        client_certificates: None,
    }),
    // Its root path is for a proxy that takes it away: it answers without.
    path_prefix: None,
    unreachable: &[
        ("grpc-mode", "it speaks gRPC, and is asked by HTTP", "leave it out"),
        ("smg-grpc-mode", "it speaks gRPC, and is asked by HTTP", "leave it out"),
    ],
    unread: &[],
    // srt/utils/common.py: launch_dummy_health_check_server.
    node: Some("node-rank"),
    stop_timeout_s: 30,
    stall_timeout_s: 1200,
    // Its health check generates a token: a second or more each, and up to 20 while it is busy.
    probe: Probe {
        health_path: "/health",
        timeout: Duration::from_secs(25),
        first_pause: Duration::from_secs(1),
        last_pause: Duration::from_secs(1),
    },
    activity: Activity::Metrics {
        path: "/metrics",
        prefix: "sglang:",
        requests: &["sglang:num_running_reqs", "sglang:num_queue_reqs"],
    },
    one_process: false,
};
