//! Every kind of damage by its name: what icache says of it, quick, deep and with the manifest, and what pixi does with it.
//!
//! A few kinds are tried each day, all of them with `--full`; the table that is printed is the answer. `INFER_DEV_TEST_SEED`
//! repeats a choice.
use super::kinds;
use crate::fuzz::{SeededRng, rounds};
use crate::icache;
use crate::kit::{Output, Pixi, Sandbox, fixture, full, is_root, left_out, root};

/// Why a kind's answers may be as they are, by the letter behind its verdicts, and the words of icache(1) that say so. What a
/// deep pass does not know without a manifest:
const UNKNOWN: [(char, &str); 3] = [
    ('l', "a deep one believes the lists that lie in them"),
    ('k', "Where a symbolic link of a conda package points is not listed"),
    ('m', "a single program outside of all"),
];

/// What is a warning, and no gap.
const UNWRITABLE: (char, &str) = ('r', "(for who installs; what pixi does then is said)");

/// What is named though pixi installs it.
const CAUTIOUS: (char, &str) = ('c', "is named though pixi would install it");

/// What is named though pixi 0.77 installs it: newer ones do not.
const OLDER: (char, &str) = ('o', "later ones fetch it again, so it is a gap");

/// Shell functions and variables that the kinds are written with.
const WORDS: &str = r#"
PKGS=$PWD/cache/conda/rattler/pkgs UV=$PWD/cache/pypi/uv WORK=$PWD/work
PY=$PKGS/python-3.11.7-h0000000_0_cpython TL=$PKGS/tinylib-1.0-h1111111_0 CV=$PKGS/cuda-version-12.8-0
SIX=$UV/archive-v0/EaaBKbQ21Z4gSNhB IDNA=$UV/archive-v0/ENvm99EfOFDt5WhM MS=$UV/archive-v0/ViOruWHKVarvW85q
SIX_P=$UV/wheels-v6/pypi/six/1.17.0-py2.py3-none-any.http IDNA_P=$UV/wheels-v6/pypi/idna/3.20-py3-none-any.http
SIX_INFO=$SIX/six-1.17.0.dist-info IDNA_INFO=$IDNA/idna-3.20.dist-info
SIX_H=4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274
flip() { # the last bit of a byte, of the middle one where none is named
    at=${2-$(($(stat -c %s "$1") / 2))}
    byte=$(od -An -tu1 -j "$at" -N 1 "$1")
    printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
empty() { : >"$1"; }
folder() { rm -r "$1"; mkdir "$1"; }
pipe() { rm "$1"; mkfifo "$1"; }
astray() { rm -r "$1"; ln -s /nowhere "$1"; }
elsewhere() { mv "$1" "$WORK/x"; ln -s "$WORK/x" "$1"; }
swap() { mv "$1" "$WORK/swapped"; mv "$2" "$1"; mv "$WORK/swapped" "$2"; }
edit() { jq -c "$1" "$2" >"$WORK/edited"; cat "$WORK/edited" >"$2"; }
say() { python3 say.py "$@"; }
"#;

/// A pointer that says something else, with the policy that uv wrote.
const SAY: &str = r#"
import sys
path, digest, archive, wheel = sys.argv[1:]
old = open(path, "rb").read()
policy = old[-8 - int.from_bytes(old[-8:], "little"):]
text = lambda word: bytes([0xD9, len(word)]) + word.encode()
hashes = b"\x91\x92" + text("Sha256") + text(digest) if digest else b"\x90"
open(path, "wb").write(b"\x94" + text(archive) + hashes + text(wheel) + b"\x00" + policy)
"#;

/// A cache that is made anew for each kind, and what is installed from it when nothing is wrong.
struct Bench {
    sandbox: Sandbox,
}

impl Bench {
    fn new() -> Self {
        let sandbox = icache::empty();
        fixture::tiny(&sandbox.path(""));
        sandbox.write("say.py", SAY);
        let bench = Self { sandbox };
        let script = "ienv sglang > env.jsonl; icache --platform linux-64 --record < env.jsonl
            mv cache/infer-dev-manifest-*.json .; mv cache whole";
        drop(bench.sandbox.sh(script).exits(0));
        bench.damage(":");
        drop(bench.install().exits(0));
        drop(bench.sandbox.sh("mv template/.pixi/envs/default reference").exits(0));
        bench
    }

    fn damage(&self, script: &str) {
        let anew = "[ ! -e cache ] || chmod -R u+rwX cache; rm -rf cache template/.pixi work; cp -a whole cache; mkdir work";
        assert_eq!(self.sandbox.sh(&format!("{anew}\n{WORDS}\n{script}")).exits(0).stderr, "", "{script}");
    }

    /// `w` where it is whole, `g` where a gap blocks.
    fn verdict(&self, options: &str) -> (char, Output) {
        let output = self.sandbox.sh(&format!("timeout 60 icache --platform linux-64 {options} < env.jsonl"));
        let verdict = match output.code {
            0 => 'w',
            1 => 'g',
            _ => 'x',
        };
        (verdict, output)
    }

    fn verdicts(&self) -> (String, String) {
        let (quick, deep) = (self.verdict(""), self.verdict("--deep"));
        drop(self.sandbox.sh("cp infer-dev-manifest-*.json cache").exits(0));
        let manifest = self.verdict("--deep");
        drop(self.sandbox.sh("rm cache/infer-dev-manifest-*.json").exits(0));
        let all = [quick, deep, manifest];
        let said = all.iter().map(|(_, output)| output.transcript()).collect::<Vec<_>>().join("\n");
        (all.iter().map(|(verdict, _)| verdict).collect(), said)
    }

    /// In a namespace without network. In a user's own, root would not have what others own.
    fn install(&self) -> Output {
        let namespace = if is_root() { "-n" } else { "-rn" };
        self.sandbox.sh(&format!(
            "export PIXI_OFFLINE=1 PIXI_CACHE_DIR=$PWD/cache/conda/rattler PIXI_CACHE_PYPI_WHEELS_DIR=$PWD/cache/pypi/uv\n\
             timeout 120 unshare {namespace} '{}' install --frozen --manifest-path template/pixi.toml",
            Pixi::get().pixi().display()
        ))
    }

    /// What pixi does: installs what was locked, something else, or nothing.
    fn outcome(&self) -> (&'static str, String) {
        let output = self.install();
        assert_ne!(output.code, 124, "pixi took too long: {}", output.transcript());
        if output.code != 0 {
            return ("refuses", output.transcript());
        }
        let script = "
            diff -rq --no-dereference -x conda-meta -x __pycache__ reference template/.pixi/envs/default || true
            programs() { cd $1; find . -type f -perm -100 ! -name '*.so*' ! -path '*/conda-meta/*' | sort; cd ~-; }
            comm -23 <(programs reference) <(programs template/.pixi/envs/default)
            find template/.pixi/envs/default -type f ! -perm -400
            template/.pixi/envs/default/bin/python -IBc 'import six, idna, markupsafe._speedups' 2>&1";
        let found = self.sandbox.sh(&format!("set +e; {script}; true")).stdout;
        (if found.is_empty() { "installs" } else { "differs" }, found)
    }
}

/// The words of the page, on one line.
fn page() -> String {
    let page = std::fs::read_to_string(root().join("man/icache.1")).unwrap();
    page.lines()
        .map(|line| line.trim_start_matches(".Pa ").trim_start_matches(".Nm "))
        .collect::<Vec<_>>()
        .join(" ")
}

/// What is wrong with these answers, if anything.
fn broken((_, expected, _): &kinds::Kind, verdicts: &str, outcome: &str, page: &str) -> Option<&'static str> {
    let letter = |at: usize| verdicts.as_bytes()[at];
    let (breaks, installs) = (["refuses", "differs"].contains(&outcome), outcome == "installs");
    let said = |(why, words): &(char, &str)| expected[3..].contains(*why) && page.contains(words);
    // iinstall goes round a cache that cannot be written to, and the page says that pixi does not.
    let warned = expected[3.min(expected.len())..].contains(UNWRITABLE.0) && page.contains(UNWRITABLE.1);
    if breaks && letter(2) == b'w' && !warned {
        return Some("whole by the manifest, and pixi does not install it");
    }
    if expected.len() < 3 {
        return None;
    }
    let broken = [
        (!expected.starts_with(verdicts), "its verdicts are not the expected ones"),
        (letter(0) == b'g' && letter(1) == b'w', "a deep pass takes what a quick one names"),
        (
            breaks && letter(1) == b'w' && !warned && !UNKNOWN.iter().any(said),
            "whole by a deep pass, pixi does not install it, and the page does not say so",
        ),
        (
            installs && verdicts.contains('g') && !said(&CAUTIOUS) && !said(&OLDER),
            "a gap, pixi installs it all the same, and the page does not say so",
        ),
    ];
    broken.into_iter().find(|(broken, _)| *broken).map(|(_, what)| what)
}

#[test]
fn each_kind_of_damage_has_its_verdicts_and_they_fit_what_pixi_does() {
    let (mut seeded_rng, bench, page) = (SeededRng::new(), Bench::new(), page());
    if !is_root() {
        left_out("damage by another user, which only root can do");
    }
    // Those that nobody has looked at yet are for the long run, which says what they come to.
    let wanted =
        |kind: &&kinds::Kind| (is_root() || !kind.2.contains("chown")) && (full() || !kind.1.is_empty());
    let mut left: Vec<&kinds::Kind> = kinds::all().filter(wanted).collect();
    let all = left.len();
    assert!(kinds::all().count() >= 120);
    let mut wrong = Vec::new();
    for _ in 0..rounds(6, all as u64) {
        let kind = left.swap_remove(seeded_rng.below(left.len()));
        let (name, expected, script) = kind;
        bench.damage(script);
        let (verdicts, said) = bench.verdicts();
        let (outcome, found) =
            if expected.ends_with('-') { ("untried", String::new()) } else { bench.outcome() };
        println!("| {name} | {verdicts} | {outcome} |");
        if let Some(what) = broken(kind, &verdicts, outcome, &page) {
            wrong.push(format!("{name}: {what}\n{script}\n{said}\npixi {outcome}:\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} of {all} kinds:\n{}", wrong.len(), wrong.join("\n"));
}
