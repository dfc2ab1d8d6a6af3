//! One engine's part of the contract, resolved.
use crate::check::{self, Check};
use crate::ledger::{Environment, Ledger, Row, origins};
use crate::{cache, road};
use record::{Engine, Env, Road, Step};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tool::vars;

/// What holds for every engine and the bridge.
#[derive(Debug)]
pub(crate) struct General<'a> {
    pub(crate) workspace: PathBuf,
    pub(crate) run_dir: PathBuf,
    pub(crate) log_dir: PathBuf,
    pub(crate) engine_cache_dir: PathBuf,
    /// Who installs and serves when no variable says.
    pub(crate) user: Option<String>,
    pub(crate) ledger: Ledger<'a>,
}

impl<'a> General<'a> {
    pub(crate) fn resolve(environment: &'a Environment) -> Self {
        let mut ledger = Ledger::new(environment);
        let workspace = Some("/offline-data".to_owned());
        let workspace = ledger.read("workspace", &[vars::WORKSPACE_DIR], check::path, workspace);
        let workspace = PathBuf::from(workspace.unwrap_or_default());
        let preferred = state::preferred().into_os_string().into_string().ok();
        if preferred.is_none() {
            ledger.refuse("XDG_RUNTIME_DIR", "it is not UTF-8".to_owned(), "give it as UTF-8 text");
        }
        let run_dir = ledger.read("run_dir", &[vars::RUN_DIR], check::path, preferred);
        let logs = workspace.join("logs").into_os_string().into_string().ok();
        let log_dir = ledger.read("log_dir", &[vars::LOG_DIR], check::path, logs);
        let caches = workspace.join(Env::ENGINE_CACHE).into_os_string().into_string().ok();
        let caches = ledger.read("engine_cache_dir", &[vars::ENGINE_CACHE_DIR], check::path, caches);
        let boot_failure = Some("continue".to_owned());
        ledger.read("boot_failure", &[vars::BOOT_FAILURE], check::boot_failure, boot_failure);
        ledger.flag("lenient_config", vars::LENIENT_CONFIG, false);
        ledger.flag("boot_wait", vars::BOOT_WAIT, true);
        ledger.read("log", &[vars::INFER_DEV_LOG], check::text, Some("warn".to_owned()));
        ledger.read("keep", &[vars::INFER_DEV_KEEP], check::path, None);
        let [run_dir, log_dir, engine_cache_dir] =
            [run_dir, log_dir, caches].map(|path| PathBuf::from(path.unwrap_or_default()));
        Self { workspace, run_dir, log_dir, engine_cache_dir, user: default_user(), ledger }
    }
}

/// `me` when we are root and it exists, as in the images; else whoever runs the tools.
fn default_user() -> Option<String> {
    let root = child::User::current().ok().flatten().is_some_and(|user| user.owner().uid() == 0);
    let me = || child::User::named("me").ok().flatten();
    if root { me().map(|user| user.name) } else { None }
}

/// What the command line asks of every engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineOptions<'a> {
    /// Only what boot asked for.
    pub(crate) boot: bool,
    /// These steps, whatever boot asked for.
    pub(crate) steps: Option<&'a [Step]>,
    pub(crate) road: Option<Road>,
}

/// The engine's record, and into `ledger` where each value came from; `None` where boot asked nothing of it.
///
/// The record means nothing where `ledger` has failures.
pub(crate) fn resolve(
    engine: Engine,
    asked: EngineOptions<'_>,
    general: &General<'_>,
    ledger: &mut Ledger<'_>,
) -> Option<Env> {
    let steps = steps(engine, ledger);
    if asked.boot && steps.is_empty() && ledger.failures.is_empty() {
        return None;
    }
    let mut env = base(engine, general);
    match engine {
        Engine::LlamaCpp => llama_cpp(&mut env, general, ledger),
        _ => pixi(&mut env, asked, general, ledger),
    }
    let name = |suffix| vars::of(engine, suffix);
    env.config = ledger.read("config", &[name("CONFIG")], check::path, None).map(PathBuf::from);
    env.overrides_variable = ledger.secret("overrides_variable", &name("OVERRIDES"), check::json_object);
    env.user = ledger.read("user", &[name("USER")], check::user, general.user.clone());
    env.steps = asked.steps.map(in_order).or_else(|| asked.boot.then_some(steps));
    let fields = serde_json::to_value(&env).unwrap_or_default();
    env.origin = origins(&fields, general.ledger.rows.iter().chain(&ledger.rows));
    Some(env)
}

/// These steps, each once, in the order in which they are taken.
pub(crate) fn in_order(steps: &[Step]) -> Vec<Step> {
    Step::ALL.into_iter().filter(|step| steps.contains(step)).collect()
}

/// The steps whose flags are set.
fn steps(engine: Engine, ledger: &mut Ledger<'_>) -> Vec<Step> {
    let flags: &[(&str, &str, Step)] = match engine {
        Engine::LlamaCpp => {
            &[("get_pkg_on_boot", "GET_PKG_ON_BOOT", Step::Install), ("on_boot", "ON_BOOT", Step::Serve)]
        }
        _ => &[
            ("cache_warm_on_boot", "CACHE_WARM_ON_BOOT", Step::Warm),
            ("install_on_boot", "INSTALL_ON_BOOT", Step::Install),
            ("bundle_on_boot", "BUNDLE_ON_BOOT", Step::Install),
            ("on_boot", "ON_BOOT", Step::Serve),
        ],
    };
    let mut steps = Vec::new();
    for (field, suffix, step) in flags {
        if ledger.flag(field, &vars::of(engine, suffix), false) && !steps.contains(step) {
            steps.push(*step);
        }
    }
    steps
}

fn base(engine: Engine, general: &General<'_>) -> Env {
    Env {
        engine,
        steps: None,
        road: None,
        workspace: general.workspace.clone(),
        run_dir: general.run_dir.clone(),
        log_dir: general.log_dir.clone(),
        engine_cache_dir: Some(general.engine_cache_dir.clone()),
        project_dir: None,
        install_dir: None,
        template_dir: None,
        cache_root: None,
        cache_layout: None,
        conda_pkgs_dir: None,
        uv_cache_dir: None,
        pixi_env: None,
        bundle: None,
        archive: None,
        archive_cache_dir: None,
        sha256: None,
        pixi_unpack: None,
        python: None,
        config: None,
        overrides_variable: None,
        user: None,
        force: false,
        environment: BTreeMap::new(),
        origin: BTreeMap::new(),
    }
}

fn llama_cpp(env: &mut Env, general: &General<'_>, ledger: &mut Ledger<'_>) {
    let (install, copies) = llama_cpp_places(&general.workspace, Path::new("/soft/app"));
    let mut path = |field, suffix, default: Option<PathBuf>| {
        let default = default.and_then(|path| path.into_os_string().into_string().ok());
        ledger.read(field, &[vars::of(Engine::LlamaCpp, suffix)], check::path, default).map(PathBuf::from)
    };
    env.archive = path("archive", "PKG_PATH", None);
    env.install_dir = path("install_dir", "INSTALL_DIR", Some(install));
    env.archive_cache_dir = path("archive_cache_dir", "PKG_CACHE_DIR", copies);
    env.sha256 = ledger.read("sha256", &[vars::of(Engine::LlamaCpp, "PKG_SHA256")], check::sha256, None);
    env.road = Some(Road::Archive);
    ledger.rows.push(Row::plain("road", Some(Road::Archive.id().to_owned())));
}

/// Where llama.cpp is installed and where copies of its archives are kept, when no variable says.
fn llama_cpp_places(workspace: &Path, app: &Path) -> (PathBuf, Option<PathBuf>) {
    if owner::is_dir(app) {
        (app.join("llama-cpp"), Some(app.join("cache")))
    } else {
        (workspace.join("llama-cpp-pkg"), None)
    }
}

/// Fill in the engine's road, places and cache.
fn pixi(env: &mut Env, asked: EngineOptions<'_>, general: &General<'_>, ledger: &mut Ledger<'_>) {
    let engine = env.engine;
    let mut read = |field, suffix, check: Check, default: Option<&str>| {
        ledger.read(field, &spellings(engine, suffix), check, default.map(str::to_owned))
    };
    let template_dir = read("template_dir", "TEMPLATE_DIR", check::path, None);
    let bundle = read("bundle", "BUNDLE_PATH", check::path, None);
    let sha256 = read("sha256", "BUNDLE_SHA256", check::sha256, None);
    let project_dir = read("project_dir", "PROJECT_DIR", check::path, None);
    env.pixi_env = read("pixi_env", "PIXI_ENV", check::environment_name, Some("default"));
    env.pixi_unpack = read("pixi_unpack", "PIXI_UNPACK_BIN", check::path, None).map(PathBuf::from);
    env.python = read("python", "PYTHON", check::path, None).map(PathBuf::from);
    env.force = ledger.flag("force", &vars::of(engine, "FORCE_RECOPY"), false);

    let chosen = road::chosen(asked.road, ledger);
    // A medium that stays named after it was installed from does not say which of two roads was taken.
    let only_serves = asked.steps.is_some_and(|steps| !steps.iter().any(|step| *step != Step::Serve));
    let chosen = match project_dir {
        None if only_serves => road::taken(engine, &general.workspace, chosen, ledger),
        _ => chosen,
    };
    let place = road::place(engine, &general.workspace, chosen, project_dir.map(PathBuf::from), ledger);
    env.road = place.road;
    env.project_dir = Some(place.dir);
    env.template_dir = template_dir.map(PathBuf::from);
    if env.road == Some(Road::Bundle) {
        env.bundle = bundle.map(PathBuf::from);
        env.sha256 = sha256;
    }
    cache::fill(env, &general.workspace, ledger);
}

/// The names of a variable: its own, then the kept spelling.
fn spellings(engine: Engine, suffix: &str) -> Vec<String> {
    let kept = vars::VLLM_KEPT.iter().filter(|(_, of)| engine == Engine::Vllm && *of == suffix);
    std::iter::once(suffix).chain(kept.map(|(kept, _)| *kept)).map(|part| vars::of(engine, part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_cpp_lives_below_soft_app_where_that_exists() {
        let workspace = Path::new("/w");
        let there = std::env::temp_dir();
        let expected = (there.join("llama-cpp"), Some(there.join("cache")));
        assert_eq!(llama_cpp_places(workspace, &there), expected);
        let absent = there.join("absent/soft/app");
        assert_eq!(llama_cpp_places(workspace, &absent), (PathBuf::from("/w/llama-cpp-pkg"), None));
    }
}
