//! The Claude Code bridge's part of the contract, resolved, with the kept names of the LiteLLM set-up.
use crate::check::{self, Check};
use crate::engine::{General, in_order};
use crate::ledger::{Ledger, Row, origins};
use record::{Bridge, Engine, Origin, Step};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tool::vars;

const LITELLM_ON_BOOT: &str = "AUTO_INFER_LITELLM_ON_BOOT";
const LITELLM_PROXY_PORT: &str = "AUTO_INFER_LITELLM_PROXY_PORT";
const LITELLM_MASTER_KEY: &str = "AUTO_INFER_LITELLM_MASTER_KEY";

/// The bridge's record, and into `ledger` where each value came from; `None` where boot did not ask for it.
///
/// The record means nothing where `ledger` has failures.
pub(crate) fn resolve(
    boot: bool,
    steps: Option<&[Step]>,
    general: &General<'_>,
    ledger: &mut Ledger<'_>,
) -> Option<Bridge> {
    let name = |suffix| vars::of(Engine::Bridge, suffix);
    let on_boot = ledger.flag("on_boot", &name("ON_BOOT"), false);
    let litellm = ledger.flag("litellm_on_boot", LITELLM_ON_BOOT, false);
    if boot && !on_boot && !litellm && ledger.failures.is_empty() {
        return None;
    }
    let mut read = |field, name: &str, check: Check| ledger.read(field, &[name], check, None);
    let mut bridge = Bridge {
        listen: String::new(),
        upstream: read("upstream", &name("UPSTREAM"), check::url),
        model: read("model", &name("MODEL"), check::text),
        key_file: read("key_file", &name("KEY_FILE"), check::path).map(PathBuf::from),
        mode: String::new(),
        steps: steps.map(in_order).or_else(|| boot.then(|| vec![Step::Serve])),
        workspace: general.workspace.clone(),
        run_dir: general.run_dir.clone(),
        log_dir: general.log_dir.clone(),
        litellm_config: None,
        litellm_listen: None,
        litellm_backend_base: None,
        litellm_backend_model: None,
        key_variable: None,
        litellm_log: None,
        log_file: read("log_file", "AUTO_INFER_LITELLM_PROXY_LOG_FILE", check::path).map(PathBuf::from),
        user: None,
        origin: BTreeMap::new(),
    };
    bridge.listen = listen(&name("LISTEN"), ledger);
    bridge.mode = mode(&name("MODE"), litellm, ledger);
    bridge.user = ledger.read("user", &["AUTO_INFER_LITELLM_USER"], check::user, general.user.clone());
    litellm_part(&mut bridge, ledger);
    let fields = serde_json::to_value(&bridge).unwrap_or_default();
    bridge.origin = origins(&fields, general.ledger.rows.iter().chain(&ledger.rows));
    Some(bridge)
}

/// Where to listen. The kept name has the port alone.
fn listen(name: &str, ledger: &mut Ledger<'_>) -> String {
    let port = ledger.read("proxy_port", &[LITELLM_PROXY_PORT], check::port, None);
    let default = "127.0.0.1:11899".to_owned();
    let listen = ledger.read("listen", &[name], check::address, Some(default)).unwrap_or_default();
    let Some(port) = port else { return listen };
    let set = ledger.row("listen").is_some_and(|row| row.origin == Origin::Variable);
    if set && listen.rsplit_once(':').is_none_or(|(_, other)| other != port) {
        let cause = format!("{name} has another port");
        ledger.refuse(LITELLM_PROXY_PORT, cause, "unset one of them");
    } else if !set {
        return fall_back("listen", &format!("127.0.0.1:{port}"), LITELLM_PROXY_PORT, ledger);
    }
    listen
}

/// The mode. The kept flag says `litellm`.
fn mode(name: &str, litellm: bool, ledger: &mut Ledger<'_>) -> String {
    let mode = ledger.read("mode", &[name], check::mode, Some("auto".to_owned())).unwrap_or_default();
    let set = ledger.row("mode").is_some_and(|row| row.origin == Origin::Variable);
    if litellm && set && mode != "litellm" {
        let cause = format!("{name} is {mode}");
        ledger.refuse(LITELLM_ON_BOOT, cause, "unset one of them");
    } else if litellm && !set {
        return fall_back("mode", "litellm", LITELLM_ON_BOOT, ledger);
    }
    mode
}

/// Put the value that a kept name says in place of a default.
fn fall_back(field: &'static str, value: &str, name: &str, ledger: &mut Ledger<'_>) -> String {
    if let Some(row) = ledger.row(field) {
        let variable = row.variable.take();
        let overrode = row.value.take().filter(|default| default != value);
        *row = Row { variable, overrode, ..Row::given(field, value, Origin::Variable, name) };
    }
    value.to_owned()
}

/// What only mode `litellm` uses. It is checked in every mode.
fn litellm_part(bridge: &mut Bridge, ledger: &mut Ledger<'_>) {
    let mut read = |field, name: &str, check: Check, default: Option<&str>| {
        ledger.read(field, &[name], check, default.map(str::to_owned))
    };
    let config = read("litellm_config", "AUTO_INFER_LITELLM_CONFIG", check::path, None);
    let host = read("litellm_host", "AUTO_INFER_LITELLM_HOST", check::host, Some("127.0.0.1"));
    let port = read("litellm_port", "AUTO_INFER_LITELLM_PORT", check::port, Some("8010"));
    let base = read("litellm_backend_base", "AUTO_INFER_LITELLM_BACKEND_BASE", check::url, None);
    let model = read("litellm_backend_model", "AUTO_INFER_LITELLM_BACKEND_MODEL", check::text, None);
    let log = read("litellm_log", "AUTO_INFER_LITELLM_LOG_FILE", check::path, None);
    bridge.key_variable = ledger.secret("key_variable", LITELLM_MASTER_KEY, check::text);
    if bridge.mode != "litellm" {
        return;
    }
    let parts = ["litellm_host", "litellm_port"];
    let set =
        parts.into_iter().any(|part| ledger.row(part).is_some_and(|row| row.origin == Origin::Variable));
    if let (Some(host), Some(port)) = (host, port) {
        let origin = if set { Origin::Variable } else { Origin::Default };
        let listen = format!("{host}:{port}");
        ledger.rows.push(Row::given("litellm_listen", &listen, origin, ""));
        bridge.litellm_listen = Some(listen);
    }
    bridge.litellm_config = config.map(PathBuf::from);
    bridge.litellm_backend_base = base;
    bridge.litellm_backend_model = model;
    bridge.litellm_log = log.map(PathBuf::from);
}
