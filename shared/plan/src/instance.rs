//! One instance, from its tables to a plan.
use crate::address::Address;
use crate::argument::{Dialect, Refusal};
use crate::arguments::Arguments;
use crate::cache::{Cache, Runs};
use crate::draft::{Draft, gpus_needed, hash};
use crate::found_program::FoundProgram;
use crate::input::Input;
use crate::install::Install;
use crate::options::Options;
use crate::program::{Caller, Program};
use crate::secret::{self, Delivery, Secret};
use crate::{busy, devices, environment};
use config::{Config, Document, Instance, rules};
use engine::Profile;
use failure::{Code, Failure};
use record::{Control, Engine, Plan, Rung, Warning};
use state::Directory;
use std::collections::BTreeMap;
use std::path::Path;
use vocabulary::Vocabulary;

/// Everything that the instances of one engine share.
pub(crate) struct Shared<'a> {
    pub(crate) input: &'a Input,
    pub(crate) document: &'a Document,
    pub(crate) config: &'a Config,
    pub(crate) install: &'a Install,
    /// The engine's own options; `None` where it could not be asked.
    pub(crate) vocabulary: Option<&'a Vocabulary>,
    pub(crate) options: &'a Options,
}

/// The arguments of an instance with the secrets taken out, and the operator's own configuration file, if ours has to take
/// its place.
pub(crate) struct WithoutSecrets {
    pub(crate) arguments: Arguments,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) their_config: Option<std::path::PathBuf>,
    /// What the engine would not take.
    pub(crate) refusals: Vec<Refusal>,
}

pub(crate) fn separate(
    instance: &Instance,
    engine: Engine,
    vocabulary: Option<&Vocabulary>,
    state_dir: &Path,
) -> Result<WithoutSecrets, Failure> {
    let profile = engine::of(engine);
    let repeat = instance.settings.control.list_style.is_some();
    let (mut arguments, refusals) = Arguments::of(instance, Dialect { profile, vocabulary, repeat });
    let mut env = instance.env.clone();
    let secrets = secret::take(&mut arguments, &mut env, profile)?;
    let needs_file = secrets.iter().any(|secret| matches!(secret.way, Delivery::Line(_)));
    let their_config =
        if needs_file { secret::point_to_config(&mut arguments, profile, state_dir)? } else { None };
    Ok(WithoutSecrets { arguments, env, secrets, their_config, refusals })
}

impl Shared<'_> {
    /// What the arguments say of the world around the instance.
    fn found(
        &self,
        arguments: &Arguments,
        env_set: &BTreeMap<String, String>,
        profile: &'static Profile,
    ) -> FoundProgram {
        let own_module = self.config.master.module.is_some();
        FoundProgram::of(arguments, env_set, profile, own_module, self.input.env.user.as_deref())
    }

    pub(crate) fn draft(&self, instance: &Instance) -> Result<Draft, Failure> {
        let env = &self.input.env;
        let (engine, control) = (env.engine, &instance.settings.control);
        let profile = engine::of(engine);
        let state = Directory::of(&env.run_dir, engine, &instance.name);
        let WithoutSecrets { arguments, env: own, secrets, refusals, .. } =
            separate(instance, engine, self.vocabulary, state.path())?;
        let caller = Caller(&self.options.environment);
        let mut program = Program::of(self.install, &self.config.master, env, control.via_pixi, &caller)?;
        let names: Vec<&str> = instance.env.iter().map(|(name, _)| name.as_str()).collect();
        let (cache_dir, about_cache) = self.cache(instance, &caller, &mut program);
        let mut env_set = environment::set(program.env, engine, control, &own);
        let numbered = devices::by_number(&mut env_set, caller.0, &instance.name, profile);
        let served_name = arguments.value(profile.served_name);
        let found = self.found(&arguments, &env_set, profile);
        let Address { scheme, path_prefix, ca_file, .. } = found.address;
        let mut plan = Plan {
            engine,
            instance: instance.name.clone(),
            workspace: env.workspace.clone(),
            config: self.document.path.clone(),
            config_sha256: self.document.sha256.clone(),
            program: program.program,
            args: program.lead.into_iter().chain(arguments.tokens()).collect(),
            env_set,
            env_dropped: environment::dropped(&self.options.environment, &names),
            secrets: secrets.iter().map(|secret| secret.name.clone()).collect(),
            user: env.user.clone(),
            host: arguments.value("host").unwrap_or_default().to_owned(),
            port: port(&arguments, &instance.name)?,
            scheme,
            path_prefix,
            ca_file,
            model: arguments.value(profile.model).map(str::to_owned),
            // Of several names joined by commas the first is listed first.
            served_name: served_name.and_then(|names| names.split(',').next()).map(str::to_owned),
            models: found.models,
            log_file: self.log_file(instance),
            state_dir: state.path().to_owned(),
            cache_dir,
            gpu_ids: control.gpu_ids.clone(),
            control: Control { ready_rung: ready_rung(control, &arguments, profile), ..control.clone() },
            after: None,
            install_path: program.install_path,
            reused: false,
            stale: false,
            secrets_check: secret::check(&secrets),
            hash: String::new(),
        };
        plan.hash = hash(&plan);
        let model_elsewhere = profile.model_elsewhere.iter().any(|flag| arguments.value(flag).is_some());
        let about_server = own_warnings(&plan, &arguments, &secrets, profile);
        let warnings = about_cache.into_iter().chain(about_server).collect();
        let gpus_needed = gpus_needed(&arguments, profile);
        let visible = self.visible(&plan);
        let failures = refusals.into_iter().map(|refusal| self.refused(refusal)).collect();
        let mut draft = Draft { plan, gpus_needed, visible, model_elsewhere, warnings, failures };
        for (rule, refusal) in found.refusals {
            draft.object(rule, self.refused(refusal));
        }
        numbered.unwrap_or_else(|failure| draft.object(rules::GPU_MISSING, failure));
        Ok(draft)
    }

    /// Where the server writes while it runs, told to its program.
    fn cache(
        &self,
        instance: &Instance,
        caller: &Caller<'_>,
        program: &mut Program,
    ) -> (Option<std::path::PathBuf>, Option<Warning>) {
        let set = |name: &str| {
            program.env.contains_key(name) || instance.env.iter().any(|(own, _)| own.as_str() == name)
        };
        let env = &self.input.env;
        let Cache { dir, env: variables, warning } =
            Runs { env, install: self.install, caller, set: &set }.cache();
        program.env.extend(variables);
        let warning = warning.map(|(what, hint)| Warning {
            engine: Some(env.engine),
            instance: Some(instance.name.clone()),
            rule: rules::ENGINE_CACHE.to_owned(),
            what,
            hint,
        });
        (dir, warning)
    }

    fn refused(&self, refusal: Refusal) -> Failure {
        let Refusal { place, cause, hint } = refusal;
        let failure = match place {
            Some(place) => self.document.failure(place, cause),
            None => Failure::new(Code::Input, self.document.path.display().to_string(), cause),
        };
        Failure { hint, ..failure }
    }

    fn log_file(&self, instance: &Instance) -> std::path::PathBuf {
        let (env, settings, name) = (&self.input.env, &instance.settings, &instance.name);
        let prefix = engine::of(env.engine).log_prefix;
        match (&settings.log_file, &settings.log_dir) {
            (Some(file), _) => file.clone(),
            (None, Some(dir)) => dir.join(format!("{prefix}-{name}.log")),
            (None, None) => env.log_dir.join(env.engine.id()).join(format!("{name}.log")),
        }
    }

    /// What the server's CUDA_VISIBLE_DEVICES will be, where it will have one.
    fn visible(&self, plan: &Plan) -> Option<String> {
        let name = "CUDA_VISIBLE_DEVICES";
        plan.env_set.get(name).or_else(|| self.options.environment.get(name)).cloned()
    }
}

fn port(arguments: &Arguments, instance: &str) -> Result<u16, Failure> {
    let text = arguments.value("port").unwrap_or_default();
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        let what = format!("the port of instance {instance} is '{text}'");
        Failure::new(Code::Input, what, "it is a whole number from 1 to 65535")
    })
}

/// One that only helps another machine's server can be asked for no more than its health.
fn ready_rung(control: &Control, arguments: &Arguments, profile: &Profile) -> Rung {
    let node = profile.node.and_then(|flag| arguments.value(flag));
    match node {
        None | Some("0") => control.ready_rung,
        Some(_) => control.ready_rung.min(Rung::Healthy),
    }
}

/// What its configuration alone gives reason to warn of.
fn own_warnings(
    plan: &Plan,
    arguments: &Arguments,
    secrets: &[Secret],
    profile: &Profile,
) -> impl Iterator<Item = Warning> {
    let open = open_paths(plan, secrets, profile);
    repeats(plan, arguments).into_iter().chain(open).chain(busy::untold(plan, arguments, profile))
}

fn repeats(plan: &Plan, arguments: &Arguments) -> Vec<Warning> {
    let warn = |flag: &str| Warning {
        engine: Some(plan.engine),
        instance: Some(plan.instance.clone()),
        rule: rules::EXTRA_ARGS_REPEAT.to_owned(),
        what: format!("extra_args of {} repeats --{flag}, which [server] sets already", plan.instance),
        hint: "the engine sees both; set it in one place".to_owned(),
    };
    arguments.repeated().into_iter().map(warn).collect()
}

/// A key that guards a part only, where others than this machine can reach the rest.
fn open_paths(plan: &Plan, secrets: &[Secret], profile: &Profile) -> Option<Warning> {
    let (guarded, open) = profile.open.filter(|_| secrets.iter().any(|secret| secret.api_key))?;
    let host = plan.host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    (!loopback).then(|| Warning {
        engine: Some(plan.engine),
        instance: Some(plan.instance.clone()),
        rule: rules::PATHS_OPEN.to_owned(),
        what: format!("{} on '{}' guards {guarded} by its key: {open}", plan.instance, plan.host),
        hint: "listen on 127.0.0.1, or have a proxy in front that lets /v1 alone through".to_owned(),
    })
}
