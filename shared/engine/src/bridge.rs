//! infer-dev's own bridge, which is kept and probed like an engine.
use crate::{Activity, Lists, Probe, Traits, Weights};
use std::time::Duration;

pub(crate) static TRAITS: Traits = Traits {
    port: 11899,
    log_prefix: "ibridge",
    module: None,
    imports: &[],
    model: "model",
    model_elsewhere: &[],
    weights: Weights::Folder,
    served_name: "model",
    secret_variables: &[],
    config_file: None,
    parallel: &[],
    spread: &[],
    lists: Lists::Comma,
    other_lists: &[],
    negatable: &[],
    switches: &[],
    spellings: &[],
    successors: &[],
    tls: None,
    path_prefix: None,
    unreachable: &[],
    stop_timeout_s: 10,
    stall_timeout_s: 300,
    probe: Probe {
        health_path: "/health",
        timeout: Duration::from_secs(10),
        first_pause: Duration::from_millis(5),
        last_pause: Duration::from_millis(40),
    },
    activity: Activity::Unknown,
    one_process: true,
};
