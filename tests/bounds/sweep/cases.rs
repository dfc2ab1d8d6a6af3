//! The tools, each with what has to be there before, and what has come of it where it says that all is done.
use crate::kit::{Fake, Keeping, Loopback, Output, Sandbox, wait_for};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Where a tool runs.
pub(crate) enum World {
    Alone(Sandbox),
    Kept(Keeping),
    /// With what serves its packages.
    Served(Sandbox, #[expect(dead_code, reason = "it ends with the test")] Loopback),
}

impl World {
    pub(crate) fn sandbox(&self) -> &Sandbox {
        match self {
            Self::Alone(sandbox) | Self::Served(sandbox, _) => sandbox,
            Self::Kept(keeping) => &keeping.sandbox,
        }
    }

    pub(super) fn keeping(&self) -> &Keeping {
        match self {
            Self::Kept(keeping) => keeping,
            _ => panic!("nothing is kept here"),
        }
    }
}

pub(super) type Check = fn(&World, &Output) -> Result<(), String>;

/// One tool, one way to call it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    /// It asks servers, and starts no program.
    pub(crate) asks: bool,
    /// It starts programs that take seconds.
    pub(crate) heavy: bool,
    /// Its folder `volume` has to be one.
    pub(crate) volume: bool,
    /// Words, with `< FILE` and `> FILE`.
    pub(crate) command: &'static str,
    pub(crate) before: fn(&World),
    pub(crate) done: Check,
    /// The same for a run after one that was killed, which may have done some of it.
    pub(crate) finished: Check,
    pub(crate) after: fn(&World),
}

const LIMIT: Duration = Duration::from_secs(60);
/// It ignores TERM, so that whoever is not found goes on.
const PATIENT: &str = "trap '' TERM; echo up; exec sleep 1000";
const BYTES: usize = 300_000;

pub(crate) fn all() -> Vec<Case> {
    let mut cases = vec![
        kept("istop", "istop", start, stopped, clear),
        kept("istop of orphans", "istop", leave, stopped, clear),
        kept("ilaunch over orphans", "ilaunch < plan", leave, launched_alone, clear),
        case("istat", World::Kept(probed()), "istat", nothing, told, nothing),
        kept("ilaunch", "ilaunch < plan", nothing, launched, clear),
        case("iprobe", World::Kept(probed()), "iprobe < fake.jsonl", nothing, ready, nothing),
        case(
            "iprobe --once",
            World::Kept(probed()),
            "iprobe --once --state run/llama-cpp/fake",
            nothing,
            nothing_said,
            nothing,
        ),
        case("ichat", World::Kept(probed()), "ichat Hello < ready", nothing, answered, nothing),
    ];
    cases.extend(super::installs::installing());
    cases.extend(super::installs::caching());
    cases.extend(files());
    cases.extend(super::more::light());
    cases
}

#[expect(clippy::too_many_arguments, reason = "the columns of a table")]
pub(super) fn case(
    name: &'static str,
    world: World,
    command: &'static str,
    before: fn(&World),
    done: Check,
    after: fn(&World),
) -> Case {
    let asks = ["iprobe", "ichat"].iter().any(|tool| name.starts_with(tool));
    let finished = if name == "istop" { gone } else { done };
    Case { name, world, asks, heavy: false, volume: false, command, before, done, finished, after }
}

pub(super) fn nothing(_: &World) {}

fn nothing_said(_: &World, output: &Output) -> Result<(), String> {
    must(output.stdout.is_empty(), "it writes something")
}

pub(super) fn must(holds: bool, why: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

/// Every record of the output; a torn line is wrong.
pub(super) fn records(output: &Output, kind: &str) -> Result<Vec<Value>, String> {
    let parsed: Result<Vec<Value>, _> = output.stdout.lines().map(serde_json::from_str).collect();
    let found = parsed.map_err(|error| format!("its output is torn: {error}"))?;
    Ok(found.into_iter().filter(|record| record["kind"] == kind).collect())
}

pub(super) fn exactly(output: &Output, kind: &str, count: usize) -> Result<(), String> {
    let found = records(output, kind)?.len();
    must(found == count, &format!("{found} records '{kind}', not {count}"))
}

// Instances.

pub(super) fn kept(
    name: &'static str,
    command: &'static str,
    before: fn(&World),
    done: Check,
    after: fn(&World),
) -> Case {
    let keeping = Keeping::new();
    let plan = |name| {
        let mut plan = keeping.plan(name, PATIENT);
        plan["control"]["stop_timeout_s"] = 1.into();
        format!("{plan}\n")
    };
    let plans: String = ["a", "b"].map(plan).concat();
    keeping.sandbox.write("plan", plans);
    case(name, World::Kept(keeping), command, before, done, after)
}

pub(super) fn start(world: &World) {
    drop(world.sandbox().sh("ilaunch < plan").exits(0));
    for name in ["a", "b"] {
        world.keeping().wait_for_log(name, "up\n");
    }
}

/// Keepers that were killed, and what they leave.
fn leave(world: &World) {
    start(world);
    for name in ["a", "b"] {
        world.keeping().wait_for_state(name, "running");
        world.keeping().signal_keeper(name, rustix::process::Signal::KILL);
        world.keeping().wait_until_left(name);
    }
}

fn launched_alone(world: &World, output: &Output) -> Result<(), String> {
    launched(world, output)?;
    let marks = ["a", "b"].map(|name| world.keeping().marked(name).len());
    let processes = world.keeping().processes();
    must(processes.len() <= 5, &format!("{marks:?} {processes:?}: more runs than was started"))
}

pub(super) fn clear(world: &World) {
    // What an error has left is what is looked at afterwards: this has to get rid of all of it.
    drop(world.sandbox().sh("istop").exits(0));
    wait_for("everything to be gone", LIMIT, || world.keeping().processes().is_empty());
    for name in ["a", "b"] {
        drop(fs::remove_file(world.keeping().log_file(name)));
    }
}

fn stopped(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "stopped", 2)?;
    gone(world, output)
}

fn gone(world: &World, _: &Output) -> Result<(), String> {
    // strace itself may be on its way out.
    let begun = std::time::Instant::now();
    while !world.keeping().processes().is_empty() && begun.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(5));
    }
    must(world.keeping().processes().is_empty(), "something still runs")
}

fn told(_: &World, output: &Output) -> Result<(), String> {
    let told = records(output, "status")?;
    must(told.len() == 1 && told[0]["state"] == "running" && told[0]["rung"] == "listed", "it is not told")
}

fn launched(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "instance", 2)?;
    let keeping = world.keeping();
    // An engine that could not be loaded has ended, and that is told.
    let kept = |name: &&str| keeping.keeper(name).is_some() || keeping.status(name)["state"] == "failed";
    must(["a", "b"].iter().all(kept), "an instance has no keeper")
}

fn probed() -> Keeping {
    let keeping = Keeping::new();
    let stream = Fake::plan(&keeping, "fake").says("healthy", "").launched().stream();
    let ready = keeping.sandbox.sh(&format!("iprobe < {stream}")).exits(0);
    let root = keeping.sandbox.text("");
    keeping.sandbox.write("ready", ready.stdout.replace("$SANDBOX", root.trim_end_matches('/')));
    keeping
}

fn ready(_: &World, output: &Output) -> Result<(), String> {
    exactly(output, "ready", 1)
}

fn answered(_: &World, output: &Output) -> Result<(), String> {
    let answers = records(output, "answer")?;
    must(answers.len() == 1 && answers[0]["content"] == "Hello world", "the answer is not whole")
}

// Files.

fn files() -> Vec<Case> {
    let world = || {
        let sandbox = Sandbox::new();
        let whole: Vec<u8> = (0..BYTES).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
        sandbox.write("whole", whole);
        drop(sandbox.sh("isplit --size 100000 whole -d good").exits(0));
        World::Alone(sandbox)
    };
    vec![
        case("isplit", world(), "isplit --size 100000 whole -d parts", unsplit, split, nothing),
        case(
            "isplit --parity",
            world(),
            "isplit --size 100000 --parity 2 whole -d parts",
            unsplit,
            |world, _| {
                let lost = "rm parts/whole.001-of-* parts/whole.003-of-*";
                let joined = world.sandbox().sh(&format!("{lost}; ijoin parts | cmp - whole"));
                must(joined.code == 0, &format!("two that are lost are not rebuilt: {}", joined.transcript()))
            },
            nothing,
        ),
        case("ijoin", world(), "ijoin good > joined", unjoin, joined, nothing),
        case("ijoin --into", world(), "ijoin good --into joined", unjoin, joined, nothing),
        case(
            "ijoin --scratch",
            world(),
            "ijoin lost --scratch scratch --into joined",
            |world| {
                unjoin(world);
                let lose = "rm -rf lost scratch; isplit --size 100000 --parity 1 whole -d lost; \
                            rm lost/whole.002-of-*; mkdir scratch";
                drop(world.sandbox().sh(lose).exits(0));
            },
            |world, output| {
                joined(world, output)?;
                let left = world.sandbox().sh("ls -A scratch").stdout;
                must(left.is_empty(), &format!("something is left of what was rebuilt: {left}"))
            },
            nothing,
        ),
        case("ijoin --check", world(), "ijoin good --check", nothing, nothing_said, nothing),
        case("iseal", world(), "iseal -- true", nothing, nothing_said, nothing),
    ]
}

fn unsplit(world: &World) {
    drop(fs::remove_dir_all(world.sandbox().path("parts")));
}

fn split(world: &World, _: &Output) -> Result<(), String> {
    let joined = world.sandbox().sh("ijoin parts | cmp - whole && ls parts | wc -l").stdout;
    must(joined == "4\n", &format!("the parts do not make the whole: {joined}"))
}

fn unjoin(world: &World) {
    for entry in fs::read_dir(world.sandbox().path("")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains("joined") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn joined(world: &World, _: &Output) -> Result<(), String> {
    let read = |name: &str| fs::read(world.sandbox().path(name)).unwrap_or_default();
    must(read("joined") == read("whole"), "the joined file is not the whole")
}
