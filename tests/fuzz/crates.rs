//! What reads foreign files, called directly: many more rounds than through a program.
use super::SeededRng;
use super::{keep, rounds, tokens};
use crate::kit::{Sandbox, root};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long one input may take, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(10);

/// Put changed inputs to something that reads them.
fn hold(
    inputs: &[Vec<u8>],
    extra: &[&'static str],
    (everyday, long): (u64, u64),
    mut read: impl FnMut(&[u8]),
) {
    let (mut seeded_rng, tokens) = (SeededRng::new(), tokens(extra));
    for round in 0..rounds(everyday, long) {
        let (one, other) = (seeded_rng.below(inputs.len()), seeded_rng.below(inputs.len()));
        let input = seeded_rng.change(&inputs[one], &inputs[other], &tokens);
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&input)));
        assert!(outcome.is_ok(), "round {round} panicked; the input is kept in {}", keep(&input));
        assert!(begun.elapsed() < LIMIT, "round {round} took {:?}: {}", begun.elapsed(), keep(&input));
    }
}

/// The files that a fixture's archive holds under these patterns.
fn unpacked(archive: &str, patterns: &str) -> Vec<Vec<u8>> {
    let sandbox = Sandbox::new();
    let path = root().join("tests/data").join(archive);
    let listed = sandbox
        .sh(&format!("tar xJf '{}'; find . -type f -path '{patterns}' | sort", path.display()))
        .exits(0);
    let files: Vec<_> =
        listed.stdout.lines().map(|file| std::fs::read(sandbox.path(file)).unwrap()).collect();
    assert!(!files.is_empty(), "{archive} has no {patterns}");
    files
}

/// Read a lock file, and ask all that can be asked of its packages.
fn read_lock(input: &[u8]) {
    let Ok(lock) = lock::LockFile::parse(input) else { return };
    let wheels = store::Wheels::at("/uv");
    for platform in lock.environments.values().flat_map(|environment| environment.platforms.values()) {
        for package in &platform.packages {
            match package {
                lock::Package::Conda(conda) => {
                    drop(lock::redact(&conda.location));
                    drop(store::Entry::of("/pkgs".as_ref(), conda));
                }
                lock::Package::Pypi(pypi) => {
                    drop(wheels.pointers(pypi));
                    drop(wheels.older_pointer(pypi));
                    drop(wheels.sources(pypi));
                }
            }
        }
    }
}

const LOCK_TOKENS: [&str; 14] = [
    "- conda: ",
    "- pypi: ",
    "conda_source",
    "direct+",
    "git+ssh://a@",
    "file://",
    "  name: ",
    "version: 6\n",
    "%2",
    "%ff",
    "&a ",
    "*a",
    "[[[[",
    ".conda",
];

#[test]
fn lock_files() {
    let small = unpacked("pixi-cache-mini.tar.xz", "*/pixi.lock");
    hold(&small, &LOCK_TOKENS, (2000, 100_000), read_lock);
    let large = std::fs::read(root().join("scripts/templates/sglang/pixi.lock")).unwrap();
    hold(&[large], &LOCK_TOKENS, (20, 1000), read_lock);
}

#[test]
fn files_of_a_cache() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("a.http");
    hold(&unpacked("pixi-cache-mini.tar.xz", "*.http"), &["Sha256", "\u{1}"], (2000, 100_000), |input| {
        std::fs::write(&file, input).unwrap();
        if let Ok(pointer) = store::Pointer::read(&file) {
            let archive = store::Wheels::at("/uv").archive(&pointer);
            assert_eq!(archive.parent(), Some("/uv/archive-v0".as_ref()), "{archive:?} is elsewhere");
        }
    });
    sandbox.write("a/info/x", "");
    let entry = store::Entry { folder: sandbox.path("a"), sidecar: sandbox.path("a.lock") };
    let lists = [
        unpacked("pixi-cache-mini.tar.xz", "*/info/paths.json"),
        unpacked("pixi-cache-mini.tar.xz", "*/info/index.json"),
    ];
    hold(&lists.concat(), &["\"_path\"", "\\u0000", "\\ud800"], (2000, 50_000), |input| {
        for name in ["a/info/paths.json", "a/info/index.json", "a.lock"] {
            std::fs::write(sandbox.path(name), input).unwrap();
        }
        drop(entry.paths_json().map(|listing| listing.map(|listing| listing.paths().map(drop))));
        drop(entry.package_index());
        drop(entry.recorded_sha256());
    });
}

#[test]
fn descriptions_of_parts() {
    let (name, sha256) = ("b.tar".to_owned(), "ab".repeat(32));
    let whole = part::WholeFile { name, size_bytes: 1_000_000, sha256, split_bytes: 57_344 };
    let hash = || "cd".repeat(32);
    let block = part::Part::new(whole.clone(), 3, [hash(), hash(), hash()]).block().unwrap();
    let read = |input: &[u8]| {
        if let Ok(part) = part::Part::read(&mut &*input) {
            assert!((1..=part.count).contains(&part.index), "part {} of {}", part.index, part.count);
            assert!(!part.whole.part_name(part.index).contains('/'));
            assert!(part.whole.offset_of(part.index) <= part.whole.size_bytes);
            assert!(part.file_bytes() >= part.size_bytes);
        }
    };
    let parity = part::Parity::new(whole, (1, 2), [hash(), hash()]);
    let parity = parity.block().unwrap();
    let read_parity = |input: &[u8]| {
        if let Ok(parity) = part::Parity::read(&mut &*input) {
            assert!((1..=parity.count).contains(&parity.index) && !parity.file_name().contains('/'));
            assert!(part::Parity::data_offset(&parity.whole) < parity.file_bytes());
            // A table that says anything.
            drop(parity.part(input, parity.index));
        }
    };
    let mut seeded_rng = SeededRng::new();
    let tokens = tokens(&["\"whole\"", "b.tar.001-of-003"]);
    for _ in 0..rounds(5000, 200_000) {
        let input = super::tools::part(&mut seeded_rng, &block, b"0", &tokens);
        assert!(catch_unwind(|| read(&input)).is_ok(), "the input is kept in {}", keep(&input));
        let input = super::tools::part(&mut seeded_rng, &parity, b"0", &tokens);
        assert!(catch_unwind(|| read_parity(&input)).is_ok(), "the input is kept in {}", keep(&input));
    }
}

#[test]
fn records() {
    let stream = super::tools::stream();
    hold(
        &[stream.into_bytes()],
        &["\"kind\":", "\\u0000", "{\"kind\":\"plan\"}", "\n"],
        (2000, 100_000),
        |input| {
            let mut reader = record::Reader::new(input);
            while let Ok(Some(line)) = reader.read() {
                assert!(!line.raw.is_empty());
            }
        },
    );
}

#[test]
fn what_a_bundle_says_of_itself() {
    let info = br#"{"version":"1","pixi-pack-version":"0.7.10","platform":"linux-64"}"#.to_vec();
    hold(&[info], &["\"version\""], (1000, 50_000), |input| {
        if let Ok(info) = bundle::PackInfo::parse(input, "x") {
            drop(info.check_installable("x"));
        }
    });
}
