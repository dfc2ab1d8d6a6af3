//! The JSON Schema of the TOML file, for editors and other checkers: what this crate reads, from the same tables.
//!
//! It says all that can be said of one value. What several values say of each other is `read`'s alone.
use crate::control::{NUMBERS, Settings, WORDS};
use crate::rules;
use record::Engine;
use serde_json::{Map, Value, json};

/// What is said of each key of `control`, in its order.
const CONTROL: [(&str, &str); 25] = [
    ("enabled", "Whether the instance is to run."),
    ("background", "false: it runs in the foreground, and its exit code is that of ilaunch."),
    ("log_file", "The file of its log. It wins over log_dir."),
    ("log_dir", "The folder of its log, where the file is called after the instance."),
    ("log_max_mib", "Size at which the log is rotated, in MiB."),
    ("log_keep", "How many old logs are kept."),
    ("gpu_ids", "The GPUs: \"all\", \"none\", or numbers or UUIDs joined by commas."),
    ("share_gpu", "Do not look whether others hold memory on the GPUs."),
    ("restart", "What is done when it ends although nobody asked. \"always\" is the same as \"on-failure\"."),
    ("max_restarts", "How often it is started again at most; counted anew after 10 minutes up."),
    ("backoff_ms", "The first delay before it is started again; it doubles up to 60 s."),
    ("ready_rung", "When it counts as ready. \"correct\" needs known_answer."),
    ("known_answer", "The file with the answers that \"correct\" compares with, written by ichat --record."),
    ("ready_timeout_s", "The longest wait until it is ready."),
    ("stall_timeout_s", "The longest wait without a sign of progress."),
    ("stop_timeout_s", "How long it may take to end before it is killed."),
    (
        "list_style",
        "\"repeat\" writes the flag once for each item of a list; default: as the engine reads lists.",
    ),
    ("offline", "Set the variables that keep engines and their libraries from the network."),
    (
        "via_pixi",
        "Run the interpreter through pixi run --frozen. Only an install from the cache has a pixi project.",
    ),
    (
        "liveness",
        "How it is found out that the engine hangs: not at all, by /health, or by a generated token too.",
    ),
    ("liveness_period_s", "Pause between two looks."),
    ("liveness_failures", "After so many failures in a row it hangs."),
    ("idle_stop_s", "After so many seconds without a request it is ended until one comes; 0: never."),
    ("watch_egress", "Count what the engine tries to reach beyond this machine, and let it through."),
    ("allow", "Rules of the checks that are not to be applied; infer-dev(5) lists them."),
];

/// The schema of an engine's file, JSON Schema draft 7, which taplo reads; the bridge has no file.
#[must_use]
pub fn schema(engine: Engine) -> Option<Value> {
    if engine == Engine::Bridge {
        return None;
    }
    let name = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$";
    let of_all = |what: &str| format!("{what} of all instances, unless an instance says otherwise.");
    Some(json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("Instances of {engine}"),
        "description": "The file that says which servers run. infer-dev(5) describes every key.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "master": { "$ref": "#/definitions/master" },
            "instance": {
                "description": "The instances, each under its name; control, env and server hold defaults for all.",
                "type": "object",
                "propertyNames": { "pattern": name },
                "properties": {
                    "control": described(&json!({ "$ref": "#/definitions/control" }), &of_all("Launcher settings")),
                    "env": described(&json!({ "$ref": "#/definitions/env" }), &of_all("Variables")),
                    "server": described(
                        // A table in it is an instance that somebody wanted to call so.
                        &json!({ "$ref": "#/definitions/server" }),
                        &of_all("Arguments"),
                    ),
                },
                "not": { "properties": { "server": {
                    "required": ["server"], "properties": { "server": { "type": "object" } },
                } }, "required": ["server"] },
                "additionalProperties": { "$ref": "#/definitions/instance" },
            },
        },
        "definitions": {
            "master": master(engine),
            "instance": instance(engine),
            "control": control(engine),
            "env": env(),
            "server": server(engine),
        },
    }))
}

/// A reference with words of its own. Draft 7 ignores what stands beside a `$ref`.
fn described(schema: &Value, description: &str) -> Value {
    json!({ "description": description, "allOf": [schema] })
}

fn flag(default: bool, description: &str) -> Value {
    json!({ "description": description, "type": "boolean", "default": default })
}

fn path(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": "^/[^\\x00]*$" })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": "^[^\\x00]+$" })
}

fn master(engine: Engine) -> Value {
    let mut keys = Map::new();
    let mut key = |name: &str, schema: Value| drop(keys.insert(name.to_owned(), schema));
    key("enable", flag(true, "false: every instance is skipped."));
    match engine::of(engine).module {
        None => key("llama_cpp_path", path("The llama-server to run, instead of the installed one.")),
        Some((module_key, module)) => {
            key("project_dir", path("Where the engine is installed."));
            key("pixi_project_dir", path("An older spelling of project_dir."));
            key("pixi_environment", text("The pixi environment in it."));
            key("python_path", path("The interpreter, instead of the install's."));
            key(module_key, text(&format!("The module to run, instead of {module}.")));
        }
    }
    json!({
        "description": "What holds for all instances of this engine.",
        "type": "object",
        "properties": keys,
        "additionalProperties": false,
    })
}

fn instance(engine: Engine) -> Value {
    json!({
        "description": format!("One server of {engine}."),
        "type": "object",
        "properties": {
            "control": { "$ref": "#/definitions/control" },
            "env": { "$ref": "#/definitions/env" },
            "server": { "$ref": "#/definitions/server" },
        },
        "additionalProperties": false,
    })
}

fn control(engine: Engine) -> Value {
    let default = Settings::default_of(engine).control;
    let defaults = serde_json::to_value(default).unwrap_or_default();
    let keys: Map<String, Value> = CONTROL
        .iter()
        .map(|(key, description)| {
            let mut schema = setting(key);
            schema.insert("description".to_owned(), (*description).into());
            let said = match *key {
                "enabled" => Some(&Value::Bool(true)),
                _ => defaults.get(key),
            };
            if let Some(default) = said {
                schema.insert("default".to_owned(), default.clone());
            }
            ((*key).to_owned(), Value::Object(schema))
        })
        .collect();
    json!({
        "description": "The launcher's settings.",
        "type": "object",
        "properties": keys,
        "additionalProperties": false,
    })
}

/// What a key of `control` may be.
fn setting(key: &str) -> Map<String, Value> {
    let number = NUMBERS.iter().find(|(name, ..)| *name == key);
    let words = WORDS.iter().find(|(name, _)| *name == key);
    let schema = match (number, words, key) {
        (Some((_, least, most)), ..) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        (_, Some((_, words)), _) => json!({ "type": "string", "enum": words }),
        (.., "log_file" | "log_dir" | "known_answer") => path(""),
        (.., "gpu_ids") => json!({ "type": "string", "pattern": gpu_ids() }),
        (.., "allow") => json!({ "type": "array", "items": { "type": "string", "enum": rules::all() } }),
        _ => json!({ "type": "boolean" }),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// `all`, `none`, or ids joined by commas, with spaces around each.
fn gpu_ids() -> String {
    let id = r"\s*([0-9]+|(GPU|MIG)-[0-9A-Fa-fGPU/-]+)\s*";
    format!(r"^(\s*(all|none)\s*|{id}(,{id})*)$")
}

fn env() -> Value {
    json!({
        "description": "Variables of the server, as strings or numbers. They win over everything else.",
        "type": "object",
        "propertyNames": { "pattern": "^[^=\\x00]+$" },
        "additionalProperties": {
            "anyOf": [{ "type": "string", "pattern": "^[^\\x00]*$" }, { "type": "number" }],
        },
    })
}

fn server(engine: Engine) -> Value {
    let profile = engine::of(engine);
    let extra = json!({
        "description": "Arguments that come last and as they are.",
        "type": "array",
        "items": { "type": "string", "pattern": "^[^\\x00]*$" },
    });
    let mut keys = json!({
        "host": { "description": "The address to listen on; \"0.0.0.0\" is all of this machine.",
            "type": "string", "pattern": "^[^\\x00]+$", "default": "127.0.0.1" },
        "port": { "description": "The port to listen on.",
            "type": "integer", "minimum": 1, "maximum": u16::MAX, "default": profile.port },
        "extra_args": extra,
    });
    let model = format!(
        "The model, as an absolute path: a {}.",
        match profile.weights {
            engine::Weights::File => "file, the first one where there are several",
            engine::Weights::Folder => "folder",
        }
    );
    // As an option of the engine's own, it may be whatever the engine takes.
    for (flag, description) in
        [(profile.model, &*model), (profile.served_name, "The name that the model is served under.")]
    {
        keys[flag.replace('-', "_")] = json!({ "description": description });
    }
    json!({
        "description": format!("Arguments of the server, the engine's own: `ienv {engine} | iplan --flags {engine}` lists them."),
        "type": "object",
        "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$" },
        "properties": keys,
        "patternProperties": { "^extra-args$": extra },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::KEYS;

    #[test]
    fn every_key_of_control_is_described_once_and_in_order() {
        assert_eq!(CONTROL.map(|(key, _)| key), KEYS);
    }

    #[test]
    fn every_key_with_limits_or_words_is_a_key() {
        let limited = NUMBERS.iter().map(|(key, ..)| key).chain(WORDS.iter().map(|(key, _)| key));
        for key in limited {
            assert!(KEYS.contains(key), "{key}");
        }
    }
}
