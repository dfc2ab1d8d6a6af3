//! The tools that need more than a sandbox: models, bundles, caches with gaps, programs that they start, a network.
use super::cases::{Case, Check, World, case, exactly, must, nothing, records};
use crate::imodel::folders;
use crate::kit::{Output, Pixi, Sandbox, fixture, tools};
use serde_json::Value;
use std::fs;

/// Those that are done in a moment.
pub(super) fn light() -> Vec<Case> {
    models().into_iter().chain(caches()).chain(told()).collect()
}

/// Those that start programs that take seconds.
pub(super) fn heavy() -> Vec<Case> {
    bundled().into_iter().chain(connected()).collect()
}

/// What another tool says of what this one has left.
fn says(world: &World, script: &str, why: &str) -> Result<(), String> {
    let output = world.sandbox().sh(script);
    must(output.code == 0, &format!("{why}: {}", output.transcript()))
}

fn before(world: &World, script: &str) {
    drop(world.sandbox().sh(script).exits(0));
}

/// The records of a command, with real paths.
fn keep(sandbox: &Sandbox, command: &str, file: &str) {
    let output = sandbox.sh(command).exits(0).stdout;
    sandbox.write(file, output.replace("$SANDBOX", sandbox.text("").trim_end_matches('/')));
}

// What was done, and what is forgotten.

const NOTES: usize = 2000;

fn told() -> Vec<Case> {
    let world = || {
        let mut sandbox = Sandbox::new();
        sandbox.write("stream", "{\"kind\":\"note\",\"text\":\"one of many\"}\n".repeat(NOTES));
        let kept = sandbox.text("kept");
        sandbox.set("INFER_DEV_KEEP", &kept);
        let page = sandbox.sh("ireport stream").exits(0).stdout;
        sandbox.write("page", page);
        World::Alone(sandbox)
    };
    let reported: Check =
        |world, output| must(output.stdout == world.sandbox().read("page"), "it is another page");
    let unkeep = |world: &World| before(world, "rm -rf kept");
    // Whose records are not kept is told so, and has them all the same.
    let kept: Check = |world, output| {
        exactly(output, "note", NOTES)?;
        let told = ["not kept", "kept no further"].iter().any(|words| output.stderr.contains(words));
        let same = world.sandbox().sh("cat kept/*.jsonl | cmp - stream").code == 0;
        must(told || same, "what is kept is not what came")
    };
    let forgotten: Check = |world, output| {
        exactly(output, "stopped", 2)?;
        says(
            world,
            "test -z \"$(istat)\" && ls run/llama-cpp/*/status.json 2>/dev/null && exit 1 || true",
            "it is remembered",
        )
    };
    vec![
        case("ireport", world(), "ireport stream", nothing, reported, nothing),
        case("ireport --keep", world(), "ireport --keep x < stream", unkeep, kept, nothing),
        super::cases::kept(
            "istop --forget",
            "istop --forget",
            super::cases::start,
            forgotten,
            super::cases::clear,
        ),
    ]
}

// Models.

fn models() -> Vec<Case> {
    let world = || {
        let sandbox = Sandbox::new();
        folders::write_to(&sandbox, "m");
        World::Alone(sandbox)
    };
    let whole: Check = |_, output| {
        let models = records(output, "model")?;
        must(models.len() == 1 && models[0]["complete"] == true, "the model is not called whole")
    };
    let unrecorded = |world: &World| before(world, "rm -f m/infer-dev-manifest.json");
    let recorded: Check = |world, output| {
        exactly(output, "model", 1)?;
        let manifest = world.sandbox().read("m/infer-dev-manifest.json");
        let manifest: Value = serde_json::from_str(&manifest).map_err(|error| error.to_string())?;
        let files = manifest["files"].as_array().map_or(0, Vec::len);
        must(files == 7, &format!("{files} files of 7 are recorded"))?;
        says(world, "imodel --verify m", "a good model is called damaged")
    };
    vec![
        case("imodel", world(), "imodel m", nothing, whole, nothing),
        case("imodel --record", world(), "imodel --record m", unrecorded, recorded, nothing),
    ]
}

// Caches.

const TINYLIB: &str = crate::icache::TINYLIB;

/// The small cache, its packages as they are fetched in `fetched`, and one of them as it was in `good`.
fn cached() -> World {
    let mut sandbox = Sandbox::new();
    fixture::tiny(&sandbox.path(""));
    for (name, path) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
        let path = sandbox.text(path);
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &path);
    }
    let bundle = fixture::bundle();
    let script = format!(
        "mkdir fetched; tar xf {} -C fetched; cp -a {TINYLIB} good; cp -a --reflink=auto cache whole",
        bundle.display()
    );
    drop(sandbox.sh(&script).exits(0));
    keep(&sandbox, "ienv sglang", "env");
    World::Alone(sandbox)
}

fn caches() -> Vec<Case> {
    vec![
        case(
            "icache --repair",
            cached(),
            "icache --deep --repair < env",
            |world| {
                // What could not be read was moved, too.
                let damage =
                    "rm -rf cache; cp -a --reflink=auto whole cache; echo >> $lib/lib/libtiny.so.1.0";
                before(world, &damage.replace("$lib", TINYLIB));
            },
            repaired,
            nothing,
        ),
        case(
            "icache --bring",
            cached(),
            "icache --bring fetched < env",
            |world| {
                let forget = format!(
                    "rm -rf cache/.damaged-* {TINYLIB}; find cache/pypi/uv/wheels-v6 -path '*/six/*' -delete"
                );
                before(world, &forget);
            },
            brought,
            nothing,
        ),
    ]
}

/// The damaged package lies whole in one of the folders that nobody reads, and is missing; so is all else that is reported.
fn repaired(world: &World, output: &Output) -> Result<(), String> {
    let gaps = records(output, "gap")?;
    must(gaps.iter().any(|gap| gap["package"] == "tinylib"), "the gap is not told")?;
    for gap in &gaps {
        // What a wheel's pointer led to may be another wheel's too, and stays.
        let (path, package) =
            (gap["path"].as_str().unwrap_or("/"), gap["package"].as_str().unwrap_or_default());
        let moved = match gap["source"] == "pypi" {
            true => format!("test -z \"$(find cache/pypi/uv/wheels-v6 -path '*/{package}/*.http')\""),
            false => format!("test ! -e '{path}'"),
        };
        says(world, &moved, &format!("what is reported is still there: {gap}"))?;
    }
    must(!world.sandbox().path(TINYLIB).exists(), "the damaged package is still in its place")?;
    let there = "diff -r good cache/.damaged-*/conda+rattler+pkgs+tinylib-1.0-h1111111_0 | grep -q '^Binary' || \
                 test -f cache/.damaged-*/conda+rattler+pkgs+tinylib-1.0-h1111111_0/lib/libtiny.so.1.0";
    says(world, there, "it was not moved as a whole")
}

fn brought(world: &World, output: &Output) -> Result<(), String> {
    let caches = records(output, "cache")?;
    must(caches.len() == 1 && caches[0]["gaps"] == 0, "there is a gap")?;
    says(world, "icache --deep < env", "what was taken in is called damaged")
}

// Installs with programs beside us.

fn bundled() -> Vec<Case> {
    let mut sandbox = Sandbox::new();
    let program = sandbox.script("quick/pixi-unpack", crate::iinstall::QUICK);
    let folder = program.parent().unwrap().display().to_string();
    sandbox.set("PATH", &format!("{}:{folder}:/usr/local/bin:/usr/bin:/bin", tools().display()));
    let bundle = fixture::bundle().display().to_string();
    sandbox.set("AUTO_INFER_VLLM_BUNDLE_PATH", &bundle);
    keep(&sandbox, "ienv vllm", "env");
    let uninstall = |world: &World| before(world, "rm -rf w/vllm-pixi-offline");
    vec![
        Case {
            heavy: true,
            ..case("bundle road", World::Alone(sandbox), "iinstall < env", uninstall, unpacked, nothing)
        },
        Case {
            heavy: true,
            ..case("cache road", installable(), "iinstall < env", forget_install, imported, nothing)
        },
    ]
}

fn unpacked(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "installed", 1)?;
    let current = "w/vllm-pixi-offline/current";
    let python = format!("{current}/env/bin/python -c 'import importlib.metadata as m; m.version(\"six\")'");
    says(world, &python, "a package is not there")?;
    says(world, &format!("test -s {current}/installed.json"), "it has no marker")
}

/// The small cache, and pixi on PATH.
fn installable() -> World {
    let World::Alone(mut sandbox) = cached() else { unreachable!("it is made so") };
    let pixi = Pixi::get().bin.display().to_string();
    sandbox.set("PATH", &format!("{}:{pixi}:/usr/local/bin:/usr/bin:/bin", tools().display()));
    let home = sandbox.text("w/sglang");
    sandbox.set("AUTO_INFER_SGLANG_PROJECT_DIR", &home);
    keep(&sandbox, "ienv sglang", "env");
    World::Alone(sandbox)
}

fn forget_install(world: &World) {
    before(world, "rm -rf w/sglang");
}

fn imported(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "installed", 1)?;
    let python = "$(find w/sglang/current/ -path '*bin/python' | head -n 1) -c 'import six, idna'";
    says(world, python, "a package cannot be imported")
}

// The connected side.

fn connected() -> Vec<Case> {
    let world = || {
        let mut sandbox = Sandbox::new();
        let pixi = Pixi::get().bin.display().to_string();
        let scripts = crate::kit::root().join("scripts").display().to_string();
        let path = format!("{}:{pixi}:{scripts}:/usr/local/bin:/usr/bin:/bin", tools().display());
        sandbox.set("PATH", &path);
        let channel = fixture::template("sglang", &sandbox.path(""));
        for (name, path) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "volume/cache")] {
            let path = sandbox.text(path);
            sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &path);
        }
        fs::create_dir(sandbox.path("volume")).unwrap();
        keep(&sandbox, "ienv sglang", "env");
        World::Served(sandbox, channel)
    };
    let unpack = |world: &World| before(world, "rm -rf b.tar* x");
    let ipack = "ipack --template template -o b.tar --skip-verify --retry-sleep 0";
    let unwarm = |world: &World| before(world, "rm -rf volume/cache");
    vec![
        Case { heavy: true, ..case("ipack", world(), ipack, unpack, packed, nothing) },
        Case { heavy: true, volume: true, ..case("iwarm", world(), "iwarm < env", unwarm, warmed, nothing) },
    ]
}

/// The bundle is what its manifest says, member by member.
fn packed(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "packed", 1)?;
    let script = "rm -rf x; mkdir x; tar xf b.tar -C x; python3 -c '
import hashlib, json
sha = lambda path: hashlib.sha256(open(path, \"rb\").read()).hexdigest()
manifest = json.load(open(\"b.tar.json\"))
assert manifest[\"sha256\"] == sha(\"b.tar\"), \"its sum\"
assert len(manifest[\"members\"]) > 3
for member in manifest[\"members\"]:
    assert member[\"sha256\"] == sha(\"x/\" + member[\"path\"]), member[\"path\"]'";
    says(world, script, "the bundle is not what its manifest says")
}

fn warmed(world: &World, output: &Output) -> Result<(), String> {
    exactly(output, "warmed", 1)?;
    says(world, "icache --deep < env", "there is a gap")
}
