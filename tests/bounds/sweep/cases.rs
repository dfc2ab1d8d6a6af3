//! The tools, each with what has to be there before, and what has come of it where it says that all is done.
use crate::kit::{Fake, Keeping, Loopback, Output, Sandbox, fixture, wait_for};
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

    fn keeping(&self) -> &Keeping {
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
    cases.extend(installing());
    cases.extend(caching());
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

fn kept(
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

fn start(world: &World) {
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

fn clear(world: &World) {
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

// Installs and plans.

fn installing() -> Vec<Case> {
    let world = || {
        let mut sandbox = Sandbox::new();
        let script = "mkdir -p p/bin; head -c 300000 /dev/urandom > p/bin/libx.so
            printf '#!/bin/sh\\n[ \"$1\" = --help ] || exec sleep 1000\\n' > p/bin/llama-server
            chmod +x p/bin/llama-server; tar -C p -czf p.tar.gz bin
            printf '[instance.a.server]\\nhf_repo = \"x/y\"\\n' > c.toml";
        drop(sandbox.sh(script).exits(0));
        for (name, path) in [("PKG_PATH", "p.tar.gz"), ("CONFIG", "c.toml")] {
            let path = sandbox.text(path);
            sandbox.set(&format!("AUTO_INFER_LLAMA_CPP_{name}"), &path);
        }
        let root = sandbox.text("");
        let keep = |output: Output| output.exits(0).stdout.replace("$SANDBOX", root.trim_end_matches('/'));
        sandbox.write("env", keep(sandbox.sh("ienv llama-cpp")));
        sandbox.write("installed", keep(sandbox.sh("ienv llama-cpp | iinstall")));
        World::Alone(sandbox)
    };
    vec![
        case("ienv", world(), "ienv llama-cpp", nothing, |_, output| exactly(output, "env", 1), nothing),
        case("iinstall", world(), "iinstall --rehash < env", uninstall, installed, nothing),
        case("iinstall again", world(), "iinstall < env", nothing, installed, nothing),
        case("iplan", world(), "iplan < installed", nothing, |_, output| exactly(output, "plan", 1), nothing),
    ]
}

fn uninstall(world: &World) {
    drop(fs::remove_dir_all(world.sandbox().path("w/llama-cpp-pkg")));
}

fn installed(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "installed", 1)?;
    let there = |path: &str| fs::read(world.sandbox().path(path)).unwrap_or_default();
    must(there("w/llama-cpp-pkg/current/bin/libx.so") == there("p/bin/libx.so"), "a library is not whole")?;
    must(!there("w/llama-cpp-pkg/current/installed.json").is_empty(), "it has no marker")
}

// Caches.

fn caching() -> Vec<Case> {
    let world = || {
        let mut sandbox = Sandbox::new();
        fixture::tiny(&sandbox.path(""));
        for (name, path) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
            let path = sandbox.text(path);
            sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &path);
        }
        let env = sandbox.sh("ienv sglang").exits(0).stdout;
        let root = sandbox.text("");
        sandbox.write("env", env.replace("$SANDBOX", root.trim_end_matches('/')));
        World::Alone(sandbox)
    };
    let whole: Check = |_, output| {
        let caches = records(output, "cache")?;
        must(caches.len() == 1 && caches[0]["gaps"] == 0, "the cache was not looked at")?;
        must(records(output, "gap")?.is_empty(), "there is a gap")
    };
    vec![
        case("icache", world(), "icache < env", nothing, whole, nothing),
        case("icache --deep", world(), "icache --deep --jobs 2 < env", nothing, whole, nothing),
        case("icache --record", world(), "icache --record < env", unrecorded, recorded, nothing),
    ]
}

fn manifests(world: &World) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(world.sandbox().path("cache")).unwrap().flatten();
    // A draft that was left goes when it is ten minutes old: until then somebody may be at it.
    let ours = |name: &str| name.starts_with("infer-dev-manifest");
    entries.filter(|entry| ours(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

fn unrecorded(world: &World) {
    let aged = "find cache -maxdepth 1 -name '.infer-dev-manifest*' -exec touch -d '20 minutes ago' {} +";
    drop(world.sandbox().sh(aged).exits(0));
    manifests(world).into_iter().for_each(|path| fs::remove_file(path).unwrap());
}

fn recorded(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "cache", 1)?;
    let found = manifests(world);
    must(found.len() == 1, &format!("the manifests are {found:?}"))?;
    let old = world.sandbox().sh("find cache -maxdepth 1 -name '.infer-dev-manifest*' -mmin +15").stdout;
    must(old.is_empty(), &format!("an old draft was left: {old}"))?;
    let manifest: Value = serde_json::from_slice(&fs::read(&found[0]).unwrap()).map_err(|e| e.to_string())?;
    let packages = manifest["packages"].as_array().map_or(0, Vec::len);
    must(packages == 6, &format!("{packages} packages of 6 are recorded"))?;
    let deep = world.sandbox().sh("icache --deep < env");
    must(deep.code == 0, &format!("a good cache is called damaged: {}", deep.transcript()))
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
        case("ijoin", world(), "ijoin good > joined", unjoin, joined, nothing),
        case("ijoin --into", world(), "ijoin good --into joined", unjoin, joined, nothing),
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
