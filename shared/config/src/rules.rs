//! The ids of everything that is checked before anything starts, for `control.allow`.

/// Nothing can listen on the host, or be asked there.
pub const ADDRESS: &str = "address";
/// What an engine writes while it runs has no place, or none that programs may be loaded from.
pub const ENGINE_CACHE: &str = "engine_cache";
/// The engine will not say what its keeper is to act on.
pub const BUSY_UNTOLD: &str = "busy_untold";
/// Kernels are compiled at the start, and there is no compiler.
pub const COMPILER: &str = "compiler";
/// The engine refuses its cuDNN.
pub const CUDNN: &str = "cudnn";
/// The driver is too old for the environment's CUDA.
pub const DRIVER: &str = "driver";
/// Servers do not get some of the caller's variables.
pub const ENV_DROPPED: &str = "env_dropped";
/// `extra_args` repeats an argument of `server`.
pub const EXTRA_ARGS_REPEAT: &str = "extra_args_repeat";
/// A file that an argument names cannot be used.
pub const FILE_MISSING: &str = "file_missing";
/// The engine could not be asked for its options.
pub const FLAGS_UNKNOWN: &str = "flags_unknown";
/// The parts of FlashInfer have different versions.
pub const FLASHINFER: &str = "flashinfer";
/// The instance needs more GPUs than it sees.
pub const GPU_COUNT: &str = "gpu_count";
/// Checked by whoever launches, not while planning.
pub const GPU_MEMORY: &str = "gpu_memory";
/// A GPU that is named is not there.
pub const GPU_MISSING: &str = "gpu_missing";
/// The log cannot be written.
pub const LOG_NOT_WRITABLE: &str = "log_not_writable";
/// Two instances write one log.
pub const LOG_SHARED: &str = "log_shared";
/// There is no room for the logs.
pub const LOG_SPACE: &str = "log_space";
/// The model is not where it is said to be.
pub const MODEL_MISSING: &str = "model_missing";
/// A model is named as on the network.
pub const MODEL_NOT_LOCAL: &str = "model_not_local";
/// No model is named.
pub const MODEL_UNSET: &str = "model_unset";
/// The model brings code of its own.
pub const OWN_CODE: &str = "own_code";
/// Some paths of the server answer without its key.
pub const PATHS_OPEN: &str = "paths_open";
/// Somebody else has the port.
pub const PORT_IN_USE: &str = "port_in_use";
/// Only root takes ports so low.
pub const PORT_PRIVILEGED: &str = "port_privileged";
/// Two instances are planned on one port.
pub const PORT_SHARED: &str = "port_shared";
/// There is little shared memory.
pub const SHM: &str = "shm";
/// The instance runs already, from another plan.
pub const STALE: &str = "stale";
/// The vocabularies that the model needs would be fetched.
pub const TIKTOKEN: &str = "tiktoken";
/// Not for `allow`: who is not in the file has no `allow`.
pub const UNPLANNED: &str = "unplanned";
/// Not for `allow`: that is what `--lenient` is for.
pub const UNKNOWN_KEY: &str = "unknown_key";

/// Those that are checked here and by whoever launches.
const OURS: [&str; 28] = [
    ADDRESS,
    BUSY_UNTOLD,
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
#[must_use]
pub fn all() -> Vec<&'static str> {
    let mut all: Vec<&str> = OURS.into_iter().chain(weights::rules::ALL).collect();
    all.sort_unstable();
    all
}
