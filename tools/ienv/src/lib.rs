//! ienv: resolve the environment contract.
//!
//! Reads the environment variables and what the disk says of installs and caches; changes nothing. Writes one `env` record
//! per engine, llama.cpp first, and where it is asked for one `bridge` record; `skipped` for what boot did not ask for,
//! `failed` for an engine with a bad variable, `warning` for a variable that nobody knows; where asked for, first one `host`.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod bridge;
mod cache;
mod check;
mod engine;
mod example;
mod host;
mod ledger;
mod network;
mod road;
mod schema;
mod system_file;

use engine::{EngineOptions, General};
use ledger::{Environment, Ledger};
use record::{Engine, Record, Road, Step, Warning};
use std::collections::BTreeMap;
use tool::{Code, Failure, Io, Outcome, vars};

#[derive(clap::Parser)]
#[command(version, about)]
struct Args {
    /// Engines to resolve, or the bridge [default: all engines; with --boot the bridge too]
    #[arg(value_name = "ENGINE", add = tool::complete::of(subjects))]
    engines: Vec<Engine>,
    /// Only what the ON_BOOT variables ask for, with its steps
    #[arg(long)]
    boot: bool,
    /// These steps, whatever the ON_BOOT variables say: warm, install, serve
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "boot", add = tool::complete::of(steps))]
    steps: Option<Vec<Step>>,
    /// Road of vLLM and SGLang, whatever the variables say: bundle or cache
    #[arg(long, value_name = "ROAD", value_parser = road::named, add = tool::complete::of(road::names))]
    road: Option<Road>,
    /// First say what the machine is: kernel, GPUs, network interfaces, routes
    #[arg(long)]
    host: bool,
    /// Print a table instead: every value, where it came from, what it overrode
    #[arg(long, conflicts_with = "export")]
    explain: bool,
    /// Print shell exports instead, for eval, with pixi's variables
    #[arg(long)]
    export: bool,
    /// With --export: leave pixi the network
    #[arg(long, requires = "export")]
    online: bool,
    /// Print a TOML file to start from instead, with every key of ours, for this engine
    #[arg(long, value_name = "ENGINE", conflicts_with_all = ["engines", "boot", "steps", "road", "host", "explain", "export"], add = tool::complete::engines())]
    example: Option<Engine>,
    /// Print a JSON Schema instead: of this engine's TOML file, or of the records
    #[arg(long, value_name = "ENGINE|records", conflicts_with_all = ["engines", "boot", "steps", "road", "host", "explain", "export", "example"], value_parser = schema::named, add = tool::complete::of(schema::names))]
    schema: Option<schema::Subject>,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

#[expect(clippy::needless_pass_by_value, reason = "tool::main hands the arguments over")]
fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    if let Some(engine) = args.example {
        io.mute();
        let none = || Failure::new(Code::Usage, format!("no example for {engine}"), "it has no TOML file");
        io.print(&example::of(engine).ok_or_else(none)?)?;
        return Ok(Outcome::Done);
    }
    if let Some(subject) = args.schema {
        io.mute();
        io.print(&schema::of(subject))?;
        return Ok(Outcome::Done);
    }
    let engines = args.subjects()?;
    if args.explain || args.export {
        io.mute();
    }
    if args.host {
        io.write(host::survey())?;
    }
    let environment = Environment::of_this_process();
    for warning in environment.names(vars::PREFIX).filter_map(|name| unknown(&name)) {
        io.warn(warning)?;
    }
    let general = General::resolve(&environment);
    general.ledger.tell("all engines");
    let mut subjects = Vec::new();
    for engine in engines {
        let mut ledger = Ledger::new(&environment);
        let record = args.resolve(engine, &general, &mut ledger);
        ledger.tell(engine.id());
        subjects.push(Subject { engine, ledger, record });
    }
    report(&general, &subjects, io)?;
    if args.explain {
        io.print(&explained(&general, &subjects))?;
    } else if args.export && !io.failed() {
        io.print(&exports(&general, &subjects, args.online)?)?;
    }
    Ok(Outcome::Done)
}

/// An engine, or the bridge, and what came of it.
struct Subject<'a> {
    engine: Engine,
    ledger: Ledger<'a>,
    /// None where boot asked nothing of it. Means nothing where the ledger has failures.
    record: Option<Record>,
}

impl Args {
    /// What to resolve, each once, in the suite's order.
    fn subjects(&self) -> Result<Vec<Engine>, Failure> {
        let all = Engine::ENGINES.into_iter().chain([Engine::Bridge]);
        let subjects: Vec<Engine> = match self.engines.as_slice() {
            [] => all.filter(|engine| self.boot || *engine != Engine::Bridge).collect(),
            named => all.filter(|engine| named.contains(engine)).collect(),
        };
        if self.road.is_some() && !subjects.iter().any(|engine| has_roads(*engine)) {
            let cause = "only vllm and sglang have a choice of roads";
            return Err(Failure::new(Code::Usage, "cannot use --road", cause));
        }
        Ok(subjects)
    }

    fn resolve(&self, engine: Engine, general: &General<'_>, ledger: &mut Ledger<'_>) -> Option<Record> {
        let steps = self.steps.as_deref();
        if engine == Engine::Bridge {
            return bridge::resolve(self.boot, steps, general, ledger).map(Record::from);
        }
        let asked = EngineOptions { boot: self.boot, steps, road: self.road };
        engine::resolve(engine, asked, general, ledger).map(Record::from)
    }
}

/// What a shell offers for ENGINE.
fn subjects() -> Vec<String> {
    Engine::ENGINES.into_iter().chain([Engine::Bridge]).map(|engine| engine.id().to_owned()).collect()
}

fn steps() -> Vec<String> {
    Step::ALL.map(|step| step.id().to_owned()).to_vec()
}

fn has_roads(engine: Engine) -> bool {
    matches!(engine, Engine::Vllm | Engine::Sglang)
}

/// A warning for a variable that nobody knows.
fn unknown(name: &str) -> Option<Warning> {
    if vars::all().any(|known| known == name) {
        return None;
    }
    // The prefix makes all names alike, so it is left out of the comparison.
    let rest = |name: &str| name.strip_prefix(vars::PREFIX).unwrap_or(name).to_owned();
    let known = vars::all().filter(|known| known.starts_with(vars::PREFIX)).map(|known| rest(&known));
    let hint = match tool::nearest(&rest(name).to_uppercase(), known) {
        Some(nearest) => format!("the nearest that is known is {}{nearest}", vars::PREFIX),
        None => "infer-dev(7) lists the variables".to_owned(),
    };
    let engine = Engine::ENGINES.into_iter().chain([Engine::Bridge]);
    let engine = engine.into_iter().find(|engine| name.starts_with(&vars::of(*engine, "")));
    let what = format!("{} is set, and infer-dev has no such variable", name.escape_debug());
    Some(Warning { engine, instance: None, rule: "unknown_variable".to_owned(), what, hint })
}

/// Write every subject's record, or what stands in for it.
fn report(general: &General<'_>, subjects: &[Subject<'_>], io: &mut Io) -> Result<(), Failure> {
    let asked = |subject: &&Subject<'_>| subject.record.is_some();
    let ended: Vec<Engine> = subjects.iter().filter(asked).map(|subject| subject.engine).collect();
    for failure in &general.ledger.failures {
        if !ended.is_empty() {
            io.fail_all(&ended, failure)?;
        }
    }
    for Subject { engine, ledger, record } in subjects {
        let Some(record) = record else {
            io.skip(*engine, "no ON_BOOT variable asks for it")?;
            continue;
        };
        for failure in &ledger.failures {
            io.fail(*engine, failure.clone())?;
        }
        if !io.ended(*engine) {
            ledger.warnings.iter().try_for_each(|warning| io.warn(warning.clone()))?;
            io.write(record.clone())?;
        }
    }
    // With nobody to speak of it, a bad variable of them all is the whole run's.
    match general.ledger.failures.first() {
        Some(failure) if ended.is_empty() => Err(failure.clone()),
        _ => Ok(()),
    }
}

/// The table: what holds for all, then each subject, then what its pixi gets.
fn explained(general: &General<'_>, subjects: &[Subject<'_>]) -> String {
    let mut text = ledger::table("all engines", &general.ledger.rows, &BTreeMap::new());
    for Subject { engine, ledger, record } in subjects {
        let title = match record {
            None => format!("{engine}: skipped, no ON_BOOT variable asks for it"),
            Some(_) if !ledger.failures.is_empty() => format!("{engine}: failed"),
            Some(_) => engine.id().to_owned(),
        };
        text.push('\n');
        text.push_str(&ledger::table(&title, &ledger.rows, environment(record.as_ref())));
    }
    text
}

/// The exports: every value under its variable's name, then pixi's variables.
fn exports(general: &General<'_>, subjects: &[Subject<'_>], online: bool) -> Result<String, Failure> {
    let asked: Vec<&Subject<'_>> = subjects.iter().filter(|subject| subject.record.is_some()).collect();
    let pixi: Vec<&Subject<'_>> = asked.iter().copied().filter(|subject| has_roads(subject.engine)).collect();
    if pixi.len() > 1 {
        let cause = "pixi's variables are not the same for vllm and sglang";
        let hint = "name one engine, as in: ienv --export sglang";
        return Err(Failure::new(Code::Usage, "cannot export two engines at once", cause).hint(hint));
    }
    let rows = general.ledger.rows.iter().chain(asked.iter().flat_map(|subject| &subject.ledger.rows));
    let mut text: String = rows.filter_map(ledger::export_of).collect();
    for subject in pixi {
        let environment = environment(subject.record.as_ref());
        text.extend(environment.iter().map(|(name, value)| ledger::export(name, value)));
        if online {
            text.push_str("unset PIXI_OFFLINE PIXI_NO_CONFIG;\n");
        } else {
            text.extend(["PIXI_OFFLINE", "PIXI_NO_CONFIG"].map(|name| ledger::export(name, "1")));
        }
    }
    Ok(text)
}

/// What pixi's children get.
fn environment(record: Option<&Record>) -> &BTreeMap<String, String> {
    static NOTHING: BTreeMap<String, String> = BTreeMap::new();
    match record {
        Some(Record::Env(env)) => &env.environment,
        _ => &NOTHING,
    }
}
