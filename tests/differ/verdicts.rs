//! What icache says of a damaged cache, and what pixi does with it.
//!
//! `INFER_DEV_TEST_SEED` repeats a run. The other way round icache may name what pixi would install: a wheel's pointer under
//! another name, two packages in each other's place, a package whose description says something else.
use super::damage::{Damage, damage};
use crate::fuzz::{SeededRng, rounds};
use crate::icache;
use crate::kit::{Output, Pixi, Sandbox, fixture};

/// A cache that is made anew for each round, from `whole`, and `reference`, what is installed from it when nothing is wrong.
struct Bench {
    sandbox: Sandbox,
}

impl Bench {
    fn new() -> Self {
        let sandbox = icache::empty();
        fixture::tiny(&sandbox.path(""));
        let bench = Self { sandbox };
        let script = "ienv sglang > env.jsonl; icache --platform linux-64 --record < env.jsonl
            mv cache/infer-dev-manifest-*.json .; mv cache whole";
        drop(bench.sandbox.sh(script).exits(0));
        bench.anew(false);
        drop(bench.install().exits(0));
        drop(bench.sandbox.sh("mv template/.pixi/envs/default reference").exits(0));
        bench
    }

    /// Files are linked, not copied: whoever changes one puts another in its place, but for those that rattler writes into.
    fn anew(&self, manifest: bool) {
        let manifest = if manifest { "cp infer-dev-manifest-*.json cache" } else { ":" };
        let script = format!(
            "rm -rf cache template/.pixi; cp -al whole cache; cp -f --remove-destination whole/conda/rattler/pkgs/*.lock \
             cache/conda/rattler/pkgs; {manifest}"
        );
        assert_eq!(self.sandbox.sh(&script).exits(0).stderr, "");
    }

    fn verify(&self, options: &str) -> Output {
        self.sandbox.sh(&format!("icache --platform linux-64 {options} < env.jsonl"))
    }

    /// In a namespace without network.
    fn install(&self) -> Output {
        self.sandbox.sh(&format!(
            "export PIXI_OFFLINE=1 PIXI_CACHE_DIR=$PWD/cache/conda/rattler PIXI_CACHE_PYPI_WHEELS_DIR=$PWD/cache/pypi/uv\n\
             timeout 120 unshare -rn '{}' install --frozen --manifest-path template/pixi.toml",
            Pixi::get().pixi().display()
        ))
    }

    /// What is installed now, and should not be. Times and paths are in `conda-meta` only.
    fn differences(&self) -> String {
        let script = "diff -rq --no-dereference -x conda-meta -x __pycache__ reference template/.pixi/envs/default || true";
        self.sandbox.sh(script).exits(0).stdout
    }
}

/// The packages that have a gap.
fn named(output: &Output) -> Vec<String> {
    output.all("gap").iter().map(|gap| gap["package"].as_str().unwrap().to_owned()).collect()
}

/// One round: what was done, what icache says of it, and what pixi does then.
struct Round {
    damages: Vec<Damage>,
    manifest: bool,
    quick: Output,
    deep: Output,
    installed: Output,
    differences: String,
}

impl Round {
    fn of(bench: &Bench, seeded_rng: &mut SeededRng) -> Self {
        let manifest = seeded_rng.once_in(2);
        bench.anew(manifest);
        let cache = bench.sandbox.path("cache");
        let damages = (0..1 + seeded_rng.below(3)).filter_map(|_| damage(seeded_rng, &cache)).collect();
        let (quick, deep) = (bench.verify(""), bench.verify("--deep"));
        let installed = bench.install();
        Self { damages, manifest, quick, deep, installed, differences: bench.differences() }
    }

    /// The first promise that is not kept.
    fn broken(&self) -> Option<&'static str> {
        let (quick, deep, installs) = (named(&self.quick), named(&self.deep), self.installed.code == 0);
        let damaged =
            |name: &String| self.damages.iter().any(|damage| damage.packages.contains(&name.as_str()));
        // What is in the packages only a deep pass looks at, and what those say of themselves it believes.
        let inside = self.damages.iter().any(|damage| damage.inside);
        let believed = !self.manifest && self.damages.iter().any(|damage| damage.listing);
        let broken = [
            (self.quick.code > 1 || self.deep.code > 1, "icache gives a verdict"),
            (!quick.iter().all(damaged) || !deep.iter().all(damaged), "what is whole is not named"),
            (!quick.iter().all(|name| deep.contains(name)), "a deep pass names all that a quick one does"),
            (!installs && quick.is_empty() && !inside, "what a quick pass lets through is installed"),
            (!installs && self.deep.code == 0, "what a deep pass lets through is installed"),
            (
                installs && deep.is_empty() && !believed && !self.differences.is_empty(),
                "what a deep pass finds nothing in is installed as it was locked",
            ),
        ];
        broken.into_iter().find(|(broken, _)| *broken).map(|(_, promise)| promise)
    }
}

#[test]
fn what_icache_lets_through_pixi_installs_and_what_pixi_refuses_icache_names() {
    let (mut seeded_rng, bench) = (SeededRng::new(), Bench::new());
    let mut refused = 0;
    let all = rounds(6, 300);
    for number in 0..all {
        let round = Round::of(&bench, &mut seeded_rng);
        refused += u64::from(round.installed.code != 0);
        let Some(promise) = round.broken() else { continue };
        let done: Vec<&str> = round.damages.iter().map(|damage| damage.what.as_str()).collect();
        panic!(
            "round {number}: {promise}: not so\n{done:#?}, manifest: {}\nquick:\n{}deep:\n{}pixi:\n{}{}",
            round.manifest,
            round.quick.transcript(),
            round.deep.transcript(),
            round.installed.transcript(),
            round.differences
        );
    }
    println!("pixi refused {refused} of {all} caches");
    // Nothing of what was done reached the cache that all were made of.
    bench.anew(true);
    assert!(named(&bench.verify("--deep").exits(0)).is_empty());
}
