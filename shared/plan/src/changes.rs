//! What differs between the plan that an instance runs from and the one that was made now, for a person.
use crate::argument::Argument;
use crate::extra::parse_tokens;
use crate::secret_name::is_name;
use record::{Control, Plan};
use std::collections::{BTreeMap, BTreeSet};

/// As much of one value as is shown.
const SHOWN: usize = 60;
/// As many changes of one field as are shown.
const MOST: usize = 8;

/// One text for each field that differs: program, args, env (names only), user, log_file, secrets (names only), install, control. The running plan may
/// have been written by the instance's user: it is shown cleaned and cut.
pub(crate) fn changes(running: &Plan, planned: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let paths = |plan: &Plan| plan.install_path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let program = |plan: &Plan| Some(plan.program.to_string_lossy().into_owned());
    let mut field = |name: &str, parts: Vec<String>| {
        if !parts.is_empty() {
            let more = parts.len().saturating_sub(MOST);
            let mut text = parts.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
            if more > 0 {
                text.push_str(&format!(" and {more} more"));
            }
            found.push(format!("{name}: {text}"));
        }
    };
    field("program", became("", program(running), program(planned)).into_iter().collect());
    field("args", args(running, planned));
    field("env", env(&running.env_set, &planned.env_set));
    field("user", became("", running.user.clone(), planned.user.clone()).into_iter().collect());
    let log = |plan: &Plan| Some(plan.log_file.to_string_lossy().into_owned());
    field("log_file", became("", log(running), log(planned)).into_iter().collect());
    field("secrets", secrets(running, planned));
    field("install", became("", paths(running), paths(planned)).into_iter().collect());
    field("control", control(&running.control, &planned.control));
    found
}

/// `NAME OLD is now NEW`; `None` where nothing changed.
fn became(name: &str, old: Option<String>, new: Option<String>) -> Option<String> {
    if old == new {
        return None;
    }
    let name = if name.is_empty() { String::new() } else { format!("{name} ") };
    let word = |text: Option<String>| text.map_or_else(|| "unset".to_owned(), |text| shown(&text));
    Some(format!("{name}{} is now {}", word(old), word(new)))
}

/// Which are there, and whether any of their values changed: none is shown, and which one it was is not known.
fn secrets(running: &Plan, planned: &Plan) -> Vec<String> {
    let (old, new) = (&running.secrets, &planned.secrets);
    let gone = old.iter().filter(|name| !new.contains(name)).map(|name| format!("{} is gone", shown(name)));
    let added = new.iter().filter(|name| !old.contains(name)).map(|name| format!("{} is new", shown(name)));
    let mut parts: Vec<String> = gone.chain(added).collect();
    // A plan of an older version has no check.
    let differs =
        matches!((&running.secrets_check, &planned.secrets_check), (Some(old), Some(new)) if old != new);
    if parts.is_empty() && differs {
        parts.push(match &new[..] {
            [name] => format!("{} changed", shown(name)),
            names => format!("one of {} changed", shown(&names.join(", "))),
        });
    }
    parts
}

/// Flag by flag, each with all its values.
fn args(running: &Plan, planned: &Plan) -> Vec<String> {
    if running.args == planned.args {
        return Vec::new();
    }
    let profile = engine::of(planned.engine);
    let (old, new) = (parse_tokens(&running.args, profile), parse_tokens(&planned.args, profile));
    let (old, new) = (by_flag(&old), by_flag(&new));
    let flags: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut parts = Vec::new();
    for flag in flags {
        let typed =
            if flag.is_empty() { "the words before the first flag".to_owned() } else { format!("--{flag}") };
        let typed = shown(&typed);
        parts.extend(match (old.get(flag), new.get(flag)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(_), None) => Some(format!("{typed} is gone")),
            (None, Some(new)) if new.is_empty() => Some(format!("{typed} is new")),
            (None, Some(new)) if !is_name(flag) => Some(format!("{typed} {} is new", shown(new))),
            (Some(old), Some(new)) if !is_name(flag) => became(&typed, Some(old.clone()), Some(new.clone())),
            _ => Some(format!("{typed} changed")),
        });
    }
    if parts.is_empty() {
        parts.push("another order".to_owned());
    }
    parts
}

fn by_flag(arguments: &[Argument]) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for argument in arguments {
        let values = found.entry(argument.flag.clone()).or_default();
        for value in &argument.values {
            if !values.is_empty() {
                values.push(' ');
            }
            values.push_str(value);
        }
    }
    found
}

/// Names alone: a value may be a secret whose name does not say so.
fn env(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let say = |name: &String| match (old.get(name), new.get(name)) {
        (old, new) if old == new => None,
        (None, _) => Some(format!("{} is new", shown(name))),
        (_, None) => Some(format!("{} is gone", shown(name))),
        _ => Some(format!("{} changed", shown(name))),
    };
    names.into_iter().filter_map(say).collect()
}

fn control(old: &Control, new: &Control) -> Vec<String> {
    let fields = |control: &Control| match serde_json::to_value(control) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(old), fields(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let word = |value: Option<&serde_json::Value>| {
        value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    names.into_iter().filter_map(|name| became(name, word(old.get(name)), word(new.get(name)))).collect()
}

/// One piece of a line: no control characters, and not too long.
fn shown(text: &str) -> String {
    let mut text: String = text.chars().filter(|c| !c.is_control()).take(SHOWN + 1).collect();
    if let Some((cut, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(cut);
        text.push('…');
    }
    if text.is_empty() { "''".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan() -> Plan {
        let control = json!({
            "background": true, "log_max_mib": 64, "log_keep": 3, "gpu_ids": "all", "share_gpu": false,
            "restart": "on-failure", "max_restarts": 5, "backoff_ms": 1000, "ready_rung": "answering",
            "ready_timeout_s": 60, "stall_timeout_s": 60, "stop_timeout_s": 20, "offline": true, "via_pixi": false
        });
        let plan = json!({
            "engine": "llama-cpp", "instance": "a", "workspace": "/w", "config": "/c", "config_sha256": "0",
            "program": "/p", "args": ["--ctx-size", "4096", "--port", "1", "--flash-attn"], "env_set": {"A": "1", "B": "2"},
            "host": "::", "port": 1, "log_file": "/l", "state_dir": "/s", "gpu_ids": "all", "control": control, "hash": "1"
        });
        serde_json::from_value(plan).unwrap()
    }

    #[test]
    fn the_same_plan_has_no_changes() {
        assert_eq!(changes(&plan(), &plan()), Vec::<String>::new());
    }

    #[test]
    fn each_field_says_what_it_was_and_is() {
        let mut new = plan();
        new.args = ["--port", "2", "--ctx-size", "4096", "--api-key-file", "/k", "--api-key", "x"]
            .map(str::to_owned)
            .to_vec();
        new.env_set = [("A", "hunter2"), ("C", "x")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        new.user = Some("me".to_owned());
        new.install_path = Some("/i".into());
        new.control.max_restarts = 1;
        new.control.allow = vec!["stale".to_owned()];
        assert_eq!(
            changes(&plan(), &new),
            [
                "args: --api-key changed, --api-key-file /k is new, --flash-attn is gone, --port 1 is now 2",
                "env: A changed, B is gone, C is new",
                "user: unset is now me",
                "install: unset is now /i",
                "control: allow unset is now [\"stale\"], max_restarts 5 is now 1",
            ]
        );
    }

    #[test]
    fn an_order_is_a_change_and_what_a_user_wrote_is_cut_and_cleaned() {
        let mut new = plan();
        new.args = ["--port", "1", "--ctx-size", "4096", "--flash-attn"].map(str::to_owned).to_vec();
        assert_eq!(changes(&plan(), &new), ["args: another order"]);
        let mut old = plan();
        old.args = vec![format!("--x{}", "y".repeat(500)), "\u{1b}[2J\n".to_owned()];
        old.args.extend((0..20).map(|n| format!("--f{n}")));
        let said = changes(&old, &plan()).concat();
        assert!(said.len() < 1000 && !said.contains(char::is_control), "{said}");
        assert!(said.ends_with(" more"), "{said}");
    }
}
