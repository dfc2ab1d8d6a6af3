//! The plan of `LiteLLM`, which in mode `litellm` stands between the bridge and the instances: the bridge hands it what
//! clients ask, and below `/engines` takes back what it asks of the instances.
use crate::bridge;
use crate::draft::Draft;
use crate::key_file::{first_key, read_text};
use crate::options::Options;
use crate::secret::CONFIG_FILE;
use failure::{Code, Failure};
use record::{Bridge, Plan};
use state::Secrets;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// The instance's name.
pub(crate) const NAME: &str = "litellm";
/// What its own configuration is written from.
const BASE: &str = "INFER_DEV_LITELLM_BASE";
const MODEL: &str = "INFER_DEV_LITELLM_MODEL";
/// The key for the backend: the clients' own, where that is the bridge.
const BACKEND_KEY: &str = "INFER_DEV_LITELLM_BACKEND_KEY";
/// The file with that key, where one is named.
const KEY_FILE: &str = "INFER_DEV_LITELLM_KEY_FILE";
/// Where `LiteLLM` reads the key that its clients present.
const MASTER_KEY: &str = "LITELLM_MASTER_KEY";
const MASTER_SECRET: &str = "env.LITELLM_MASTER_KEY";
/// It starts without a key, or with a weak one, only where this is set: on loopback, as the engines do.
const ANY_KEY: &str = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY";
/// It imports for seconds, and longer from a cold disk.
const READY_TIMEOUT_S: u64 = 300;

/// The plan, where the mode wants one: not where the upstream is one that runs elsewhere.
pub(crate) fn draft(bridge: &Bridge, options: &Options) -> Result<Option<Draft>, Failure> {
    let Some(listen) = bridge.litellm_listen.as_ref().filter(|_| bridge.upstream.is_none()) else {
        return Ok(None);
    };
    let has_key = bridge.key_variable.is_some() || bridge.key_file.is_some();
    let mut plan = bridge::plan(bridge, options, NAME, listen)?;
    if !(has_key || is_loopback(&bridge.listen) && is_loopback(listen)) {
        let cause = "LiteLLM and the bridge have to know the same key, and none is named";
        let failure =
            Failure::new(Code::Unmet, "cannot plan mode litellm on another address than loopback", cause);
        return Err(failure.hint("set AUTO_INFER_LITELLM_MASTER_KEY or AUTO_INFER_BRIDGE_KEY_FILE"));
    }
    let path = options.environment.get("PATH");
    plan.program = which::which_in(NAME, path, "/").map_err(|error| {
        Failure::new(Code::Unmet, "cannot find LiteLLM, which mode litellm wants", error.to_string())
            .hint("put litellm on PATH (PyPI: litellm[proxy]), or use mode auto, which needs none")
    })?;
    let config = match &bridge.litellm_config {
        Some(file) => file.clone(),
        None => {
            plan.env_set = backend(bridge);
            plan.state_dir.join(CONFIG_FILE)
        }
    };
    plan.args = ["--config".to_owned(), config.to_string_lossy().into_owned()].into();
    plan.args.extend(["--host".to_owned(), plan.host.clone(), "--port".to_owned(), plan.port.to_string()]);
    for (name, value) in QUIET {
        plan.env_set.insert(name.to_owned(), value.to_owned());
    }
    if is_loopback(listen) {
        plan.env_set.insert(ANY_KEY.to_owned(), "true".to_owned());
    }
    if let Some(file) = &bridge.key_file {
        plan.env_set.insert(KEY_FILE.to_owned(), file.to_string_lossy().into_owned());
    }
    if has_key {
        plan.secrets.push(MASTER_SECRET.to_owned());
    }
    let log_file = bridge.litellm_log.clone();
    plan.log_file = log_file.unwrap_or_else(|| bridge.log_dir.join("bridge").join("litellm.log"));
    plan.control.ready_timeout_s = READY_TIMEOUT_S;
    Ok(Some(bridge::drafted(plan)))
}

/// It fetches a list of prices at its start unless it is told that it has one. Since 1.82 it asks for messages at
/// `/v1/responses`, which not every engine has.
const QUIET: [(&str, &str); 6] = [
    ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
    ("LITELLM_USE_CHAT_COMPLETIONS_URL_FOR_ANTHROPIC_MESSAGES", "True"),
    ("LITELLM_TELEMETRY", "False"),
    ("DO_NOT_TRACK", "1"),
    ("HF_HUB_OFFLINE", "1"),
    ("PYTHONUNBUFFERED", "1"),
];

fn backend(bridge: &Bridge) -> BTreeMap<String, String> {
    let port = bridge.listen.rsplit_once(':').map_or("", |(_, port)| port);
    let own = || format!("http://127.0.0.1:{port}/engines");
    let base = bridge.litellm_backend_base.clone().unwrap_or_else(own);
    let base = base.trim_end_matches('/').trim_end_matches("/v1");
    let model = bridge.litellm_backend_model.clone().or_else(|| bridge.model.clone());
    let model = model.unwrap_or_else(|| "*".to_owned());
    [(BASE.to_owned(), format!("{base}/v1")), (MODEL.to_owned(), format!("openai/{model}"))].into()
}

fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Its key, and its configuration where it has none of the operator's.
pub(crate) fn secrets(plan: &Plan, options: &Options) -> Result<Secrets, Failure> {
    let mut given = Secrets::default();
    if !plan.secrets.is_empty() {
        let key = match plan.env_set.get(KEY_FILE) {
            Some(file) => first_key(&read_text(Path::new(file))?).unwrap_or_default().to_owned(),
            None => bridge::key(options)?,
        };
        given.env.extend([MASTER_KEY, BACKEND_KEY].map(|name| (name.to_owned(), key.clone())));
        given.api_key = Some(key);
    }
    if let (Some(base), Some(model)) = (plan.env_set.get(BASE), plan.env_set.get(MODEL)) {
        given.files.insert(CONFIG_FILE.to_owned(), config(base, model, !plan.secrets.is_empty()));
    }
    Ok(given)
}

/// One model that takes every name, as LiteLLM's configuration says it (<https://docs.litellm.ai/docs/wildcard_routing>).
fn config(base: &str, model: &str, has_key: bool) -> String {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let key = if has_key { format!("os.environ/{BACKEND_KEY}") } else { "none".to_owned() };
    format!(
        "model_list:\n  - model_name: \"*\"\n    litellm_params:\n      model: {}\n      api_base: {}\n      api_key: {}\n\
         litellm_settings:\n  drop_params: true\n",
        text(model),
        text(base),
        text(&key)
    )
}
