//! Every environment variable that infer-dev reads or sets for its own purposes. infer-dev.7 lists the same.
//!
//! Names with `{E}` exist once per engine; [`of`] fills in the engine.
use record::Engine;

/// Log filter of every tool (env_logger's syntax), default `warn`.
pub const INFER_DEV_LOG: &str = "INFER_DEV_LOG";
/// Directory where the entry script keeps each boot's final stream.
pub const INFER_DEV_KEEP: &str = "INFER_DEV_KEEP";
/// Mark in a kept engine's environment: the uuid of this start, by which orphans are found.
pub const INFER_DEV_INSTANCE: &str = "INFER_DEV_INSTANCE";

/// Root of everything persistent.
pub const WORKSPACE_DIR: &str = "AUTO_INFER_WORKSPACE_DIR";
/// State of running instances.
pub const RUN_DIR: &str = "AUTO_INFER_RUN_DIR";
/// Logs, unless the TOML says otherwise.
pub const LOG_DIR: &str = "AUTO_INFER_LOG_DIR";
/// `continue` or `stop`: what a failed boot does to the container.
pub const BOOT_FAILURE: &str = "AUTO_INFER_BOOT_FAILURE";
/// Unknown TOML keys warn instead of failing.
pub const LENIENT_CONFIG: &str = "AUTO_INFER_LENIENT_CONFIG";
/// `0`: the container's command starts at once, readiness is awaited in the background.
pub const BOOT_WAIT: &str = "AUTO_INFER_BOOT_WAIT";

/// The engine's variable `AUTO_INFER_{E}_{suffix}`.
#[must_use]
pub fn of(engine: Engine, suffix: &str) -> String {
    format!("AUTO_INFER_{}_{suffix}", engine.variable_part())
}

/// Variables of all engines.
pub const GENERAL: [&str; 6] = [WORKSPACE_DIR, RUN_DIR, LOG_DIR, BOOT_FAILURE, LENIENT_CONFIG, BOOT_WAIT];

/// Suffixes of the pixi engines' variables.
pub const PIXI: [&str; 18] = [
    "TEMPLATE_DIR",
    "PROJECT_DIR",
    "CACHE_ROOT",
    "PIXI_ENV",
    "FORCE_RECOPY",
    "CACHE_WARM_ON_BOOT",
    "INSTALL_ON_BOOT",
    "BUNDLE_ON_BOOT",
    "BUNDLE_PATH",
    "BUNDLE_SHA256",
    "PIXI_UNPACK_BIN",
    "PYTHON",
    "ON_BOOT",
    "CONFIG",
    "OVERRIDES",
    "USER",
    "PIXI_PROJECT_DIR",
    "PIXI_ENVIRONMENT",
];

/// A kept spelling of `TEMPLATE_DIR`, beside the two at the end of [`PIXI`].
pub const PIXI_TEMPLATE_DIR: &str = "PIXI_TEMPLATE_DIR";

/// Suffixes of llama.cpp's variables.
pub const LLAMA_CPP: [&str; 9] = [
    "PKG_PATH",
    "PKG_SHA256",
    "GET_PKG_ON_BOOT",
    "INSTALL_DIR",
    "PKG_CACHE_DIR",
    "ON_BOOT",
    "CONFIG",
    "OVERRIDES",
    "USER",
];

/// Suffixes of the bridge's variables.
pub const BRIDGE: [&str; 6] = ["ON_BOOT", "LISTEN", "UPSTREAM", "MODEL", "KEY_FILE", "MODE"];

/// Kept LiteLLM variables; the last two are known and ignored.
pub const LITELLM: [&str; 13] = [
    "AUTO_INFER_LITELLM_ON_BOOT",
    "AUTO_INFER_LITELLM_CONFIG",
    "AUTO_INFER_LITELLM_HOST",
    "AUTO_INFER_LITELLM_PORT",
    "AUTO_INFER_LITELLM_PROXY_PORT",
    "AUTO_INFER_LITELLM_BACKEND_BASE",
    "AUTO_INFER_LITELLM_BACKEND_MODEL",
    "AUTO_INFER_LITELLM_MASTER_KEY",
    "AUTO_INFER_LITELLM_LOG_FILE",
    "AUTO_INFER_LITELLM_PROXY_LOG_FILE",
    "AUTO_INFER_LITELLM_USER",
    "AUTO_INFER_LITELLM_PROXY_SCRIPT",
    "AUTO_INFER_LITELLM_PROXY_PYTHON",
];
