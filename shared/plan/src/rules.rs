//! The ids of everything that is checked before anything starts, for `control.allow`.

pub(crate) const ADDRESS: &str = "address";
/// What an engine writes while it runs has no place, or none that programs may be loaded from.
pub(crate) const ENGINE_CACHE: &str = "engine_cache";
pub(crate) const COMPILER: &str = "compiler";
pub(crate) const CUDNN: &str = "cudnn";
pub(crate) const DRIVER: &str = "driver";
pub(crate) const ENV_DROPPED: &str = "env_dropped";
pub(crate) const EXTRA_ARGS_REPEAT: &str = "extra_args_repeat";
pub(crate) const FILE_MISSING: &str = "file_missing";
/// The engine could not be asked for its options.
pub(crate) const FLAGS_UNKNOWN: &str = "flags_unknown";
pub(crate) const FLASHINFER: &str = "flashinfer";
pub(crate) const GPU_COUNT: &str = "gpu_count";
/// Checked by whoever launches, not while planning.
pub const GPU_MEMORY: &str = "gpu_memory";
pub(crate) const GPU_MISSING: &str = "gpu_missing";
pub(crate) const LOG_NOT_WRITABLE: &str = "log_not_writable";
pub(crate) const LOG_SHARED: &str = "log_shared";
pub(crate) const LOG_SPACE: &str = "log_space";
pub(crate) const MODEL_MISSING: &str = "model_missing";
pub(crate) const MODEL_NOT_LOCAL: &str = "model_not_local";
pub(crate) const MODEL_UNSET: &str = "model_unset";
pub(crate) const OWN_CODE: &str = "own_code";
/// Some paths of the server answer without its key.
pub(crate) const PATHS_OPEN: &str = "paths_open";
pub(crate) const PORT_IN_USE: &str = "port_in_use";
pub(crate) const PORT_PRIVILEGED: &str = "port_privileged";
pub(crate) const PORT_SHARED: &str = "port_shared";
pub(crate) const SHM: &str = "shm";
pub(crate) const STALE: &str = "stale";
pub(crate) const TIKTOKEN: &str = "tiktoken";
/// Not for `allow`: who is not in the file has no `allow`.
pub const UNPLANNED: &str = "unplanned";
/// Not for `allow`: that is what `--lenient` is for.
pub(crate) const UNKNOWN_KEY: &str = "unknown_key";

/// Those that are checked here and by whoever launches.
const OURS: [&str; 27] = [
    ADDRESS,
    COMPILER,
    CUDNN,
    DRIVER,
    ENGINE_CACHE,
    ENV_DROPPED,
    EXTRA_ARGS_REPEAT,
    FILE_MISSING,
    FLAGS_UNKNOWN,
    FLASHINFER,
    GPU_COUNT,
    GPU_MEMORY,
    GPU_MISSING,
    LOG_NOT_WRITABLE,
    LOG_SHARED,
    LOG_SPACE,
    MODEL_MISSING,
    MODEL_NOT_LOCAL,
    MODEL_UNSET,
    OWN_CODE,
    PATHS_OPEN,
    PORT_IN_USE,
    PORT_PRIVILEGED,
    PORT_SHARED,
    SHM,
    STALE,
    TIKTOKEN,
];

/// All that can be silenced, in the order of the alphabet.
pub(crate) fn all() -> Vec<&'static str> {
    let mut all: Vec<&str> = OURS.into_iter().chain(weights::rules::ALL).collect();
    all.sort_unstable();
    all
}
