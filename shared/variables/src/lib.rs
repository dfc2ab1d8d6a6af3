//! Every environment variable that infer-dev reads or sets for its own purposes, each with what it says.
//!
//! infer-dev.7 lists the same. A table holds whole names, or the last part of names that exist once per engine: [`of`]
//! fills in the engine.
use record::Engine;

/// What all `AUTO_INFER_*` variables begin with.
pub const PREFIX: &str = "AUTO_INFER_";

/// Log filter of every tool.
pub const INFER_DEV_LOG: &str = "INFER_DEV_LOG";
/// Directory where the entry script keeps each boot's final stream.
pub const INFER_DEV_KEEP: &str = "INFER_DEV_KEEP";
/// The shell for which a tool writes completions, in place of all else.
pub const INFER_DEV_COMPLETE: &str = "INFER_DEV_COMPLETE";
/// Id of the image that a container runs, as whoever starts it says.
pub const INFER_DEV_IMAGE_ID: &str = "INFER_DEV_IMAGE_ID";
/// Mark in a kept engine's environment, by which orphans are found.
pub const INFER_DEV_INSTANCE: &str = "INFER_DEV_INSTANCE";
/// The state directory, in a kept engine's environment, by which an engine is found whose state directory is gone.
pub const INFER_DEV_STATE_DIR: &str = "INFER_DEV_STATE_DIR";

/// Root of everything persistent.
pub const WORKSPACE_DIR: &str = "AUTO_INFER_WORKSPACE_DIR";
/// State of running instances.
pub const RUN_DIR: &str = "AUTO_INFER_RUN_DIR";
/// Logs, unless the TOML says otherwise.
pub const LOG_DIR: &str = "AUTO_INFER_LOG_DIR";
/// Where engines keep what they write while they run.
pub const ENGINE_CACHE_DIR: &str = "AUTO_INFER_ENGINE_CACHE_DIR";
/// What a failed boot does to the container.
pub const BOOT_FAILURE: &str = "AUTO_INFER_BOOT_FAILURE";
/// Whether unknown TOML keys only warn.
pub const LENIENT_CONFIG: &str = "AUTO_INFER_LENIENT_CONFIG";
/// Whether the container's command waits for the engines.
pub const BOOT_WAIT: &str = "AUTO_INFER_BOOT_WAIT";

/// A variable's name, or the last part of it, and what it says.
pub type VariableDoc = (&'static str, &'static str);

/// The suite's own variables.
pub const SUITE: [VariableDoc; 6] = [
    (INFER_DEV_LOG, "log filter of every tool, in env_logger's syntax; default warn"),
    (INFER_DEV_KEEP, "directory where the entry script keeps each boot's final stream"),
    (
        INFER_DEV_COMPLETE,
        "bash, zsh or fish: a tool writes completions for that shell, and does nothing else",
    ),
    (INFER_DEV_IMAGE_ID, "id of the image that a container runs, for the report"),
    (INFER_DEV_INSTANCE, "set in a kept engine's environment: the uuid of this start"),
    (INFER_DEV_STATE_DIR, "set in a kept engine's environment: the state directory of its instance"),
];

/// Variables of all engines.
pub const GENERAL: [VariableDoc; 7] = [
    (WORKSPACE_DIR, "root of everything persistent; default /offline-data"),
    (RUN_DIR, "state of running instances"),
    (LOG_DIR, "logs, unless the TOML says otherwise; default logs below the workspace"),
    (ENGINE_CACHE_DIR, "what engines write while they run; default engine-cache below the workspace"),
    (BOOT_FAILURE, "continue or stop: what a failed boot does to the container"),
    (LENIENT_CONFIG, "unknown TOML keys warn instead of failing"),
    (BOOT_WAIT, "0: the container's command starts at once, readiness is awaited in the background"),
];

/// Last parts of every engine's variables.
pub const ENGINE: [VariableDoc; 4] = [
    ("ON_BOOT", "step serve"),
    ("CONFIG", "the TOML file"),
    ("OVERRIDES", "JSON, deep-merged over the TOML; may hold secrets"),
    ("USER", "who installs and serves"),
];

/// Last parts of the variables that vLLM and SGLang have beside [`ENGINE`]'s.
pub const PIXI: [VariableDoc; 12] = [
    ("TEMPLATE_DIR", "folder with pixi.toml and pixi.lock"),
    ("PROJECT_DIR", "where it is installed"),
    ("CACHE_ROOT", "the pre-warmed cache"),
    ("PIXI_ENV", "pixi environment name; default default"),
    ("FORCE_RECOPY", "take the template again and install afresh"),
    ("CACHE_WARM_ON_BOOT", "step warm, on a connected machine"),
    ("INSTALL_ON_BOOT", "step install, cache road"),
    ("BUNDLE_ON_BOOT", "step install, bundle road"),
    ("BUNDLE_PATH", "pixi-pack bundle"),
    ("BUNDLE_SHA256", "refuse another bundle"),
    ("PIXI_UNPACK_BIN", "pixi-unpack, where the bundle and PATH have none"),
    ("PYTHON", "interpreter for the server, instead of the install's"),
];

/// vLLM's kept spellings, each the last part of a name; the text is the last part of the name that it stands for.
pub const VLLM_KEPT: [VariableDoc; 3] = [
    ("PIXI_PROJECT_DIR", "PROJECT_DIR"),
    ("PIXI_ENVIRONMENT", "PIXI_ENV"),
    ("PIXI_TEMPLATE_DIR", "TEMPLATE_DIR"),
];

/// Last parts of the variables that llama.cpp has beside [`ENGINE`]'s.
pub const LLAMA_CPP: [VariableDoc; 5] = [
    ("PKG_PATH", "the archive"),
    ("PKG_SHA256", "refuse another archive"),
    ("GET_PKG_ON_BOOT", "step install"),
    ("INSTALL_DIR", "where it is installed"),
    ("PKG_CACHE_DIR", "where a copy of the archive is kept"),
];

/// Last parts of the bridge's variables.
pub const BRIDGE: [VariableDoc; 6] = [
    ("ON_BOOT", "start the bridge"),
    ("LISTEN", "host and port to listen on; default 127.0.0.1:11899"),
    ("UPSTREAM", "base URL of the engine; default the first ready instance"),
    ("MODEL", "the model that every requested name maps to; default the served one"),
    ("KEY_FILE", "the key that clients present"),
    ("MODE", "auto, native, translate or litellm"),
];

/// Kept variables of the bridge in mode `litellm`.
pub const LITELLM: [VariableDoc; 13] = [
    ("AUTO_INFER_LITELLM_ON_BOOT", "start the bridge in mode litellm"),
    ("AUTO_INFER_LITELLM_CONFIG", "LiteLLM's configuration file"),
    ("AUTO_INFER_LITELLM_HOST", "address of LiteLLM itself; default 127.0.0.1"),
    ("AUTO_INFER_LITELLM_PORT", "port of LiteLLM itself; default 8010"),
    ("AUTO_INFER_LITELLM_PROXY_PORT", "the port of the bridge"),
    ("AUTO_INFER_LITELLM_BACKEND_BASE", "base URL of its backend"),
    ("AUTO_INFER_LITELLM_BACKEND_MODEL", "the backend's model"),
    ("AUTO_INFER_LITELLM_MASTER_KEY", "the client key; never printed"),
    ("AUTO_INFER_LITELLM_LOG_FILE", "LiteLLM's log"),
    ("AUTO_INFER_LITELLM_PROXY_LOG_FILE", "the bridge's log"),
    ("AUTO_INFER_LITELLM_USER", "who runs the bridge"),
    ("AUTO_INFER_LITELLM_PROXY_SCRIPT", "known and ignored"),
    ("AUTO_INFER_LITELLM_PROXY_PYTHON", "known and ignored"),
];

/// The engine's variable `AUTO_INFER_{E}_{suffix}`.
#[must_use]
pub fn of(engine: Engine, suffix: &str) -> String {
    format!("{PREFIX}{}_{suffix}", engine.variable_part())
}

/// The variable that says whom the engine, or the bridge, belongs to.
#[must_use]
pub fn user(engine: Engine) -> String {
    match engine {
        Engine::Bridge => "AUTO_INFER_LITELLM_USER".to_owned(),
        engine => of(engine, "USER"),
    }
}

/// The names of all variables of all engines and of the suite.
pub fn all() -> impl Iterator<Item = String> {
    let whole = SUITE.iter().chain(&GENERAL).chain(&LITELLM).map(|(name, _)| (*name).to_owned());
    let last_parts: [(Engine, &[&[VariableDoc]]); 4] = [
        (Engine::LlamaCpp, &[&LLAMA_CPP, &ENGINE]),
        (Engine::Vllm, &[&PIXI, &ENGINE, &VLLM_KEPT]),
        (Engine::Sglang, &[&PIXI, &ENGINE]),
        (Engine::Bridge, &[&BRIDGE]),
    ];
    let per_engine = last_parts.into_iter().flat_map(|(engine, tables)| {
        tables.iter().copied().flatten().map(move |(suffix, _)| of(engine, suffix))
    });
    whole.chain(per_engine)
}

/// What a boolean variable says; `None` for what is not a boolean. Set to nothing is false.
#[must_use]
pub fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "" | "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_a_closed_set_in_any_case() {
        for (yes, no) in [("1", "0"), ("true", "False"), ("YES", "no"), ("On", "OFF"), ("tRuE", "")] {
            assert_eq!((boolean(yes), boolean(no)), (Some(true), Some(false)), "{yes} {no}");
        }
        for neither in ["2", "y", "enable", " 1", "1\r", "-1", "null"] {
            assert_eq!(boolean(neither), None, "{neither:?}");
        }
    }

    #[test]
    fn every_variable_is_listed_once() {
        let mut names: Vec<String> = all().collect();
        assert!(names.iter().all(|name| name.starts_with(PREFIX) || name.starts_with("INFER_DEV_")));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        for engine in [Engine::LlamaCpp, Engine::Vllm, Engine::Sglang, Engine::Bridge] {
            assert!(names.contains(&user(engine)), "{engine}");
        }
        for name in
            ["AUTO_INFER_VLLM_PIXI_ENVIRONMENT", "AUTO_INFER_SGLANG_ON_BOOT", "AUTO_INFER_BRIDGE_MODE"]
        {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        assert!(!names.contains(&"AUTO_INFER_SGLANG_PIXI_ENVIRONMENT".to_owned()), "kept for vLLM alone");
    }
}
