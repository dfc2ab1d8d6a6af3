//! What the stream asks for an engine, and what comes of it.
use crate::args::Args;
use crate::inherited::Inherited;
use crate::road::{self, Options};
use crate::switch::Switch;
use crate::{lookup, prepare};
use install::with_install_root;
use record::{Cache, Engine, Env, Installed, Origin, Road, Step, Warning};
use std::path::Path;
use std::time::Instant;
use tool::{Code, Failure, vars};

/// What the stream says of an engine.
pub(crate) struct Request<'a> {
    pub(crate) env: &'a Env,
    /// What icache found in its cache, if it looked.
    pub(crate) verified: Option<&'a Cache>,
}

/// What was found or done for an engine.
pub(crate) enum Outcome {
    Installed(Box<Installed>, Vec<Warning>),
    /// Nothing, and why; and what an operator should know.
    Nothing(String, Option<Warning>),
}

impl Request<'_> {
    /// Install, roll back, prepare, or look up what is there, with our own rights.
    pub(crate) fn run(
        &self,
        args: &Args,
        switch: &Switch<'_>,
        inherited: Inherited,
    ) -> Result<Outcome, Failure> {
        let (env, begun, timeout) = (self.env, Instant::now(), args.timeout());
        let folder = env.home().ok_or_else(|| {
            let what = format!("invalid 'env' record of {}", env.engine);
            Failure::new(Code::Input, what, "it has neither install_dir nor project_dir")
        })?;
        let installs = env.wants(Step::Install);
        if args.rollback && installs {
            let (installed, warnings) = lookup::roll_back(folder, timeout, switch)?;
            return Ok(Outcome::Installed(Box::new(installed), warnings));
        }
        if args.prepare && installs {
            let (done, warning) = prepare::prepare(env, folder, timeout)?;
            return Ok(Outcome::Nothing(done, warning));
        }
        let Some(road) = road::chosen(args, env) else {
            let found = looked_up(env, folder, begun)?.filter(|_| !args.insist);
            return found.map_or_else(
                || nothing(env, folder),
                |installed| Ok(Outcome::Installed(Box::new(installed), Vec::new())),
            );
        };
        may_run_in(env, folder)?;
        let options =
            Options { env, rehash: args.rehash, keep: args.keep, run_sh: args.run_sh, begun, timeout };
        let road = road::open(road, options, self.verified, inherited)?;
        let (installed, warnings) = with_install_root(folder, timeout, |root, lock| {
            road::install(&*road, &options, switch, root, lock)
        })?;
        Ok(Outcome::Installed(Box::new(installed), warnings))
    }
}

/// Nothing that is installed where no program may be run is of any use.
fn may_run_in(env: &Env, folder: &Path) -> Result<(), Failure> {
    let Some(mount) = child::noexec(folder) else { return Ok(()) };
    let what = format!("cannot install {} into {}", env.engine, folder.display());
    let cause = format!("the file system of {} is mounted noexec", mount.display());
    let hint =
        "mount it with exec (docker: --tmpfs DIR:exec), or set AUTO_INFER_WORKSPACE_DIR to another folder";
    Err(Failure::new(Code::Unmet, what, cause).hint(hint))
}

/// What is there, where nothing is to be installed.
fn looked_up(env: &Env, folder: &Path, begun: Instant) -> Result<Option<Installed>, Failure> {
    let why = if env.wants(Step::Install) { "no source is set" } else { "step install was not asked for" };
    log::info!("looks up what is in {}: {why}", folder.display());
    lookup::installed(env, folder, begun)
}

/// Nothing is installed: why that is as it was asked for, or a failure where it is not.
fn nothing(env: &Env, folder: &Path) -> Result<Outcome, Failure> {
    let folder = folder.display();
    if !env.wants(Step::Install) {
        let why = format!("step install was not asked for, and nothing is installed in {folder}");
        return Ok(Outcome::Nothing(why, None));
    }
    let what = format!("cannot install {} into {folder}", env.engine);
    let suffix = match env.road {
        _ if env.engine == Engine::LlamaCpp => Some("PKG_PATH"),
        Some(Road::Bundle) => Some("BUNDLE_PATH").filter(|_| env.bundle.is_none()),
        Some(Road::Cache) => Some("TEMPLATE_DIR").filter(|_| env.template_dir.is_none()),
        _ => None,
    };
    let none = match suffix {
        Some(suffix) => format!("{} is not set", vars::of(env.engine, suffix)),
        None if env.bundle.is_none() && env.template_dir.is_none() => {
            "no bundle or template is set".to_owned()
        }
        None => {
            return Err(Failure::new(Code::Unmet, what, "nothing says by which road")
                .hint("ienv --road bundle or --road cache says it"));
        }
    };
    // Boot that asks for an install must not go on as if it had one; by hand, whoever plans may do without.
    if env.steps.is_some() {
        let by_boot = env
            .origin
            .iter()
            .any(|(field, origin)| field.ends_with("on_boot") && *origin == Origin::Variable);
        let hint = match by_boot {
            true => {
                "set it to what is to be installed; a boot that is to install nothing has no ON_BOOT variable that asks for it"
            }
            false => "set it to what is to be installed",
        };
        return Err(Failure::new(Code::Unmet, what, none).hint(hint));
    }
    Ok(Outcome::Nothing(format!("{none}, and nothing is installed in {folder}"), None))
}
