//! Files of users are reached with the rights of their users.
use super::{text, tracked};

/// Files that reach others by their paths and not through shared/owner, and in how many of their modules: those of tools that
/// only ever act as their caller, or as a user whom they have become, and what reads the kernel's own files. Each says why.
const BY_PATH: [(&str, usize); 23] = [
    ("shared/archive/src/lib.rs", 1),
    ("shared/child/src/descriptors.rs", 1),
    ("shared/install/src/held.rs", 1),
    ("shared/install/src/lib.rs", 9),
    ("shared/owner/src/lib.rs", 1),
    ("shared/pixi/src/lib.rs", 3),
    ("shared/plan/src/port.rs", 1),
    ("shared/privsep/src/lib.rs", 1),
    ("shared/state/src/lock.rs", 1),
    ("shared/store/src/lib.rs", 1),
    ("shared/threads/src/lib.rs", 1),
    ("shared/tool/src/stop_signals.rs", 1),
    ("shared/tree/src/lib.rs", 1),
    ("tools/icache/src/lib.rs", 7),
    ("tools/ienv/src/cache.rs", 1),
    ("tools/iinstall/src/lib.rs", 3),
    ("tools/iinstall/src/source.rs", 1),
    ("tools/ijoin/src/lib.rs", 1),
    ("tools/ikeep/src/lib.rs", 1),
    ("tools/ipack/src/lib.rs", 1),
    ("tools/iseal/src/lib.rs", 1),
    ("tools/isplit/src/lib.rs", 1),
    ("tools/iwarm/src/lib.rs", 3),
];

#[test]
fn no_tool_reaches_a_users_files_but_with_that_users_rights() {
    let lint = text(".clippy.toml");
    for function in [
        "std::fs::File::open",
        "std::fs::OpenOptions::open",
        "std::fs::read",
        "rustix::fs::openat",
        "std::fs::metadata",
        "std::path::Path::exists",
        "std::path::Path::canonicalize",
    ] {
        assert!(lint.contains(&format!("path = \"{function}\"")), ".clippy.toml does not forbid {function}");
    }
    let name = concat!("clippy::", "disallowed_methods");
    let mut found = Vec::new();
    for path in tracked().iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let content = text(path);
        let lines: Vec<&str> = content.lines().collect();
        let of_code = |at: &usize| {
            // Of tests alone, on the same line or the one before.
            let of_tests = |line: &&str| line.contains("cfg_attr(test");
            lines[*at].contains(name) && !lines[at.saturating_sub(2)..=*at].iter().any(of_tests)
        };
        let count = (0..lines.len()).filter(of_code).count();
        if count > 0 && !path.starts_with("tests") {
            found.push((path.to_str().unwrap().to_owned(), count));
        }
    }
    let mut known: Vec<_> = BY_PATH.iter().map(|(file, count)| ((*file).to_owned(), *count)).collect();
    known.sort();
    found.sort();
    assert_eq!(found, known, "files that reach others by path (left), those that may (right)");
}
