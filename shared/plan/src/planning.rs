//! From all engines and the bridge to what planning has to say of them.
use crate::instance::Shared;
use crate::item::Item;
use crate::options::Options;
use crate::program::{self, Caller};
use crate::slot::{Slot, skipped, unknown_key};
use crate::{asked_vocabulary, bridge, environment, install, leftover, litellm, offline, preflight};
use crate::{draft::Draft, input::Input};
use config::{Config, Document, Instance, Master, rules};
use failure::{Code, Failure};
use record::{Bridge, Engine, Plan, Warning};
use std::collections::BTreeMap;
use vocabulary::Vocabulary;

/// Names of the caller's variables that the server of this plan does not get: those of whoever launches it, who may be
/// another caller than the one that planned.
#[must_use]
pub fn dropped(plan: &Plan, options: &Options) -> Vec<String> {
    let set: Vec<&str> = plan.env_set.keys().map(String::as_str).collect();
    environment::dropped(&options.environment, &set)
}

/// The options of the engine that an input means, whatever its TOML file plans.
pub(crate) fn vocabulary_of(input: &Input, options: &Options) -> Result<Vocabulary, Failure> {
    let engine = input.env.engine;
    let config = match &input.env.config {
        Some(_) => config::read(&read(input, options)?, engine, true).map_err(|failures| {
            failures.into_iter().next().unwrap_or_else(|| unsaid(engine, String::new()))
        })?,
        None => Config::empty(),
    };
    let install = program::find(input, &config.master, &Caller(&options.environment))?;
    asked_vocabulary::of(&install, &config, input)
        .map_err(|warning| unsaid(engine, warning.map_or_else(String::new, |warning| warning.what)))
}

fn unsaid(engine: Engine, cause: String) -> Failure {
    Failure::new(Code::Unmet, format!("cannot list the options of {engine}"), cause)
}

/// Plan every instance of every input, and the bridge after them.
#[must_use]
pub fn plan_all(inputs: &[Input], bridge: Option<&Bridge>, options: &Options) -> Vec<Item> {
    let mut slots: Vec<Slot> = inputs.iter().flat_map(|input| plan_engine(input, options)).collect();
    slots.extend(bridge.into_iter().flat_map(|bridge| plan_bridge(bridge, options)));
    let (mut drafts, mut leftovers) = (Vec::new(), Vec::new());
    for slot in &mut slots {
        match slot {
            Slot::Draft(draft) => drafts.push(&mut **draft),
            Slot::Leftover(leftover) => leftovers.push(&*leftover),
            Slot::Item(_) => {}
        }
    }
    preflight::check(&mut drafts, &leftovers);
    offline::check(&mut drafts, &options.environment);
    let about_dropped = about_dropped(&drafts, &options.environment);
    let said = slots.into_iter().flat_map(|slot| match slot {
        Slot::Item(item) => vec![item],
        Slot::Leftover(leftover) => leftover.warning().into_iter().map(Item::Warning).collect(),
        Slot::Draft(draft) => finish(*draft),
    });
    about_dropped.into_iter().map(Item::Warning).chain(said).collect()
}

/// The warnings of an instance, then its failures or its plan.
fn finish(draft: Draft) -> Vec<Item> {
    let Draft { plan, warnings, failures, .. } = draft;
    let allowed = |warning: &Warning| plan.control.allow.contains(&warning.rule);
    let mut items: Vec<Item> =
        warnings.into_iter().filter(|warning| !allowed(warning)).map(Item::Warning).collect();
    if !failures.is_empty() {
        // A plan that is none cannot be what restarts anything, and what it lacks is not what changed.
        items.retain(|item| !matches!(item, Item::Warning(warning) if warning.rule == rules::STALE));
    } else {
        items.push(Item::Plan(Box::new(plan)));
        return items;
    }
    let failed =
        |failure| Item::Failed { engine: plan.engine, instance: Some(plan.instance.clone()), failure };
    items.extend(failures.into_iter().map(failed));
    items
}

/// One warning for all servers: they drop the same variables, but for those that a TOML sets.
fn about_dropped(drafts: &[&mut Draft], caller: &BTreeMap<String, String>) -> Option<Warning> {
    let allows = |plan: &Plan| plan.control.allow.iter().any(|rule| rule == rules::ENV_DROPPED);
    // What the server gets all the same is not lost.
    let lost =
        |plan: &Plan, name: &str| plan.env_set.get(name).is_none_or(|set| caller.get(name) != Some(set));
    let warned = drafts.iter().map(|draft| &draft.plan).filter(|plan| !allows(plan));
    let dropped = warned.flat_map(|plan| plan.env_dropped.iter().filter(|name| lost(plan, name)));
    let mut names: Vec<String> = dropped.cloned().collect();
    names.sort();
    names.dedup();
    let names: Vec<&str> = environment::worth_a_warning(&names).map(String::as_str).collect();
    (!names.is_empty()).then(|| Warning {
        engine: None,
        instance: None,
        rule: rules::ENV_DROPPED.to_owned(),
        what: format!("servers do not get these variables: {}", names.join(", ")),
        hint: "set what a server needs in [instance.env]".to_owned(),
    })
}

/// The bridge and, where it wants one, LiteLLM; both or none.
fn plan_bridge(bridge: &Bridge, options: &Options) -> Vec<Slot> {
    let drafts = || Ok((litellm::draft(bridge, options)?, bridge::draft(bridge, options)?));
    match drafts() {
        Ok((litellm, bridge)) => {
            litellm.into_iter().chain([bridge]).map(|draft| Slot::Draft(Box::new(draft))).collect()
        }
        Err(failure) => vec![Slot::Item(Item::Failed { engine: Engine::Bridge, instance: None, failure })],
    }
}

fn plan_engine(input: &Input, options: &Options) -> Vec<Slot> {
    let engine = input.env.engine;
    let failed = |failure| Slot::Item(Item::Failed { engine, instance: None, failure });
    match draft_engine(input, options) {
        Ok(slots) => slots,
        Err(failures) => failures.into_iter().map(failed).collect(),
    }
}

/// The instances of one engine; what concerns them all is an error.
fn draft_engine(input: &Input, options: &Options) -> Result<Vec<Slot>, Vec<Failure>> {
    let engine = input.env.engine;
    let document = read(input, options).map_err(|failure| vec![failure])?;
    let config = config::read(&document, engine, options.lenient)?;
    let why = |instance: &Instance| match (config.master.enable, instance.settings.enabled) {
        (false, _) => Some("master.enable is false"),
        (true, false) => Some("control.enabled is false"),
        (true, true) => None,
    };
    let leftovers = || {
        let named = |name: &str| config.instances.iter().find(|instance| instance.name == name);
        let missing = || Some(format!("{} does not name it", document.path.display()));
        let found = leftover::find(&input.env, |name| {
            named(name).map_or_else(missing, |i| why(i).map(str::to_owned))
        });
        found.into_iter().flat_map(move |leftover| {
            let unnamed = named(&leftover.instance).is_none();
            let stand_in = unnamed.then(|| skipped(engine, Some(&leftover.instance), &leftover.why));
            stand_in.into_iter().chain([Slot::Leftover(leftover)])
        })
    };
    if config.instances.is_empty() {
        if !config.master.enable {
            return Ok(std::iter::once(skipped(engine, None, "master.enable is false"))
                .chain(leftovers())
                .collect());
        }
        let what = format!("{} defines no instance", document.path.display());
        let cause = "there is no table [instance.NAME.server]";
        return Err(vec![Failure::new(Code::Input, what, cause)]);
    }
    let mut slots: Vec<Slot> = config.unknown.iter().map(|unknown| unknown_key(engine, unknown)).collect();
    let caller = Caller(&options.environment);
    let install = if config.instances.iter().any(|instance| why(instance).is_none()) {
        program::find(input, &config.master, &caller).map_err(|f| placed(f, &document, &config.master))?
    } else {
        install::Install::default()
    };
    let vocabulary = match config.instances.iter().any(|instance| why(instance).is_none()) {
        true => asked_vocabulary::of(&install, &config, input),
        false => Err(None),
    };
    let vocabulary = vocabulary
        .map_err(|warning| slots.extend(warning.map(|warning| Slot::Item(Item::Warning(warning)))))
        .ok();
    let vocabulary = vocabulary.as_ref();
    let shared =
        Shared { input, document: &document, config: &config, install: &install, vocabulary, options };
    for instance in &config.instances {
        slots.push(match why(instance) {
            Some(why) => skipped(engine, Some(&instance.name), why),
            None => match shared.draft(instance) {
                Ok(draft) => Slot::Draft(Box::new(draft)),
                Err(failure) => {
                    Slot::Item(Item::Failed { engine, instance: Some(instance.name.clone()), failure })
                }
            },
        });
    }
    slots.extend(leftovers());
    Ok(slots)
}

fn read(input: &Input, options: &Options) -> Result<Document, Failure> {
    let env = &input.env;
    let variable = variables::of(env.engine, "CONFIG");
    let Some(config) = &env.config else {
        let what = format!("cannot plan {}", env.engine);
        // Who asked for this engine's steps does not want it left out.
        let or = env.steps.is_none().then(|| format!(", or leave {} out: ienv ENGINE", env.engine));
        let hint = format!("set {variable} to the TOML file{}", or.unwrap_or_default());
        return Err(Failure::new(Code::Unmet, what, format!("{variable} is not set")).hint(hint));
    };
    let overrides = options.overrides(env.engine);
    let merged = if overrides.is_some() { ", with the overrides merged over it" } else { "" };
    log::info!("{} is configured by {}{merged}", env.engine, config.display());
    Document::read(config, overrides).map_err(|failure| match failure.hint {
        None if failure.code == Code::Unmet => failure.hint(format!("{variable} names it")),
        _ => failure,
    })
}

/// Where the file or the overrides name the very program that cannot be run, the place.
fn placed(mut failure: Failure, document: &Document, master: &Master) -> Vec<Failure> {
    if let Some(place) = master.llama_cpp_place {
        failure.what = format!("{}: {}", document.failure(place, "").what, failure.what);
    }
    vec![failure]
}
