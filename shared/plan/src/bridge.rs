//! The plan of the bridge: it is kept like an engine, and has no TOML file.
use crate::draft::{Draft, hash};
use crate::environment;
use crate::options::Options;
use config::Settings;
use failure::{Code, Failure};
use record::{Bridge, Control, Engine, Plan, Rung};
use state::{Directory, Secrets};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The name of its only instance.
const NAME: &str = "bridge";
/// The variable with the clients' key, and that key among the names of a plan's secrets.
const KEY: &str = "AUTO_INFER_LITELLM_MASTER_KEY";
const KEY_SECRET: &str = "env.AUTO_INFER_LITELLM_MASTER_KEY";
/// Longer than the bridge itself gives the streams that are under way.
const STOP_TIMEOUT_S: u64 = 30;

/// Plan it.
pub(crate) fn draft(bridge: &Bridge, options: &Options) -> Result<Draft, Failure> {
    let log_file = bridge.log_file.clone();
    let mut plan = plan(bridge, options, NAME, &bridge.listen)?;
    plan.program = child::sibling("ibridge")?;
    plan.args = arguments(bridge);
    plan.env_set = [("INFER_DEV_LOG".to_owned(), "warn".to_owned())].into();
    plan.secrets = bridge.key_variable.iter().map(|_| KEY_SECRET.to_owned()).collect();
    plan.log_file = log_file.unwrap_or_else(|| bridge.log_dir.join("bridge").join("bridge.log"));
    Ok(drafted(plan))
}

/// What all plans of the bridge have, its program and what is told to it excepted.
pub(crate) fn plan(bridge: &Bridge, options: &Options, name: &str, listen: &str) -> Result<Plan, Failure> {
    let (host, port) = address(listen)?;
    let control = Control {
        gpu_ids: "none".to_owned(),
        ready_rung: Rung::Healthy,
        stop_timeout_s: STOP_TIMEOUT_S,
        ready_timeout_s: 60,
        ..Settings::default_of(Engine::Bridge).control
    };
    Ok(Plan {
        engine: Engine::Bridge,
        instance: name.to_owned(),
        workspace: bridge.workspace.clone(),
        // It has none, and nothing is read from there.
        config: "/dev/null".into(),
        config_sha256: String::new(),
        program: PathBuf::new(),
        args: Vec::new(),
        env_set: BTreeMap::new(),
        env_dropped: environment::dropped(&options.environment, &[]),
        secrets_check: None,
        cache_dir: None,
        models: Vec::new(),
        secrets: Vec::new(),
        user: bridge.user.clone(),
        host,
        port,
        scheme: None,
        path_prefix: None,
        ca_file: None,
        model: None,
        served_name: None,
        log_file: PathBuf::new(),
        state_dir: Directory::of(&bridge.run_dir, Engine::Bridge, name).path().to_owned(),
        gpu_ids: control.gpu_ids.clone(),
        control,
        after: None,
        install_path: None,
        reused: false,
        stale: false,
        hash: String::new(),
    })
}

/// The finished plan.
pub(crate) fn drafted(mut plan: Plan) -> Draft {
    plan.hash = hash(&plan);
    let (warnings, failures) = (Vec::new(), Vec::new());
    Draft { plan, gpus_needed: None, visible: None, model_elsewhere: true, warnings, failures }
}

/// Everything that the variables say: the keeper hands none of them on.
fn arguments(bridge: &Bridge) -> Vec<String> {
    let mut args = vec!["--listen".to_owned(), bridge.listen.clone()];
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            args.extend([name.to_owned(), value]);
        }
    };
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    add("--workspace", Some(text(&bridge.workspace)));
    add("--run-dir", Some(text(&bridge.run_dir)));
    add("--mode", Some(bridge.mode.clone()));
    add("--upstream", bridge.upstream.clone());
    add("--model", bridge.model.clone());
    add("--key-file", bridge.key_file.as_ref().map(text));
    add("--litellm", bridge.litellm_listen.clone().filter(|_| bridge.upstream.is_none()));
    args
}

fn address(listen: &str) -> Result<(String, u16), Failure> {
    let parts = listen.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or_else(|| {
        Failure::new(Code::Input, format!("cannot plan the bridge on '{listen}'"), "it is not HOST:PORT")
    })?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// The key that its plan names.
pub(crate) fn secrets(plan: &Plan, options: &Options) -> Result<Secrets, Failure> {
    let mut given = Secrets::default();
    if !plan.secrets.is_empty() {
        let key = key(options)?;
        given.env.insert(KEY.to_owned(), key.clone());
        given.api_key = Some(key);
    }
    Ok(given)
}

/// The key that the variable holds.
pub(crate) fn key(options: &Options) -> Result<String, Failure> {
    let key = options.environment.get(KEY).filter(|key| !key.is_empty());
    key.cloned().ok_or_else(|| {
        let cause = format!("{KEY} is not set any more");
        Failure::new(Code::Later, "cannot start the bridge", cause)
            .hint("plan it again: ienv bridge | iplan | ilaunch")
    })
}
