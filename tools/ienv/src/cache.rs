//! The pre-warmed cache: how it is laid out, as the disk says, and what points pixi at it.
#![expect(clippy::disallowed_methods, reason = "says whether a folder holds any, and reads none of them")]
use crate::check;
use crate::ledger::{Ledger, Row};
use record::{Engine, Env, Origin, Road, Warning};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use tool::vars;

/// Find the cache and its stores, and what pixi's children get to find them there.
pub(crate) fn fill(env: &mut Env, workspace: &Path, ledger: &mut Ledger<'_>) {
    let engine = env.engine;
    let default = workspace.join(format!(".cache/{engine}-infer")).display().to_string();
    let name = vars::of(engine, "CACHE_ROOT");
    let root =
        PathBuf::from(ledger.read("cache_root", &[name], check::path, Some(default)).unwrap_or_default());
    let laid = layout(&root).unwrap_or_else(|(store, error)| {
        let what = format!("cannot read {}: {}", store.display(), tool::io_text(&error));
        let hint = "the cache is taken to have our own layout; let this user read it";
        ledger.warnings.push(warning(engine, "cache_unreadable", what, hint));
        FoundLayout { layout: &SPLIT, filled: false, unused: Vec::new() }
    });
    // An install from a bundle does not look at the cache.
    let warmed = ledger.row("cache_warm_on_boot").is_some_and(|row| row.value.as_deref() == Some("1"));
    if !laid.unused.is_empty() && (env.road != Some(Road::Bundle) || warmed) {
        let unused: Vec<String> = laid.unused.iter().map(|store| store.display().to_string()).collect();
        let what =
            format!("{} holds more than one cache layout; not used: {}", root.display(), unused.join(", "));
        let hint = "move what is missing to where the used layout has it, or delete the rest";
        ledger.warnings.push(warning(engine, "cache_layouts", what, hint));
    }
    let (pkgs, uv) = (root.join(laid.layout.pkgs), root.join(laid.layout.uv));
    let origin = if laid.filled { Origin::Disk } else { Origin::Default };
    let source = if laid.filled { root.display().to_string() } else { String::new() };
    let mut note = |field, value: &str| ledger.rows.push(Row::given(field, value, origin, &source));
    note("cache_layout", laid.layout.name);
    note("conda_pkgs_dir", &pkgs.display().to_string());
    note("uv_cache_dir", &uv.display().to_string());
    env.environment = environment(&root, laid.layout, ledger);
    env.cache_layout = Some(laid.layout.name.to_owned());
    (env.cache_root, env.conda_pkgs_dir, env.uv_cache_dir) = (Some(root), Some(pkgs), Some(uv));
}

/// What pixi's children get. The parent of the conda store is pixi's root, as pixi itself puts `pkgs` below that; so the
/// variable for that store alone, which not every pixi heeds when it installs, says the same.
fn environment(root: &Path, layout: &Layout, ledger: &mut Ledger<'_>) -> BTreeMap<String, String> {
    let below = |store: &str| root.join(store).display().to_string();
    let conda_root = layout.pkgs.trim_end_matches("/pkgs");
    let mut environment: BTreeMap<String, String> = [
        ("PIXI_CACHE_DIR", conda_root),
        ("RATTLER_CACHE_DIR", conda_root),
        ("PIXI_CACHE_CONDA_PACKAGES_DIR", layout.pkgs),
        ("PIXI_CACHE_PYPI_WHEELS_DIR", layout.uv),
        ("UV_CACHE_DIR", layout.uv),
        ("PIP_CACHE_DIR", "pypi/pip"),
        ("XDG_CACHE_HOME", "xdg"),
    ]
    .map(|(name, store)| (name.to_owned(), below(store)))
    .into();
    // Set to nothing says that this machine has no such thing, so it is not the same as unset.
    for name in ledger.environment.names("CONDA_OVERRIDE_").collect::<Vec<_>>() {
        match ledger.environment.get(&name) {
            Ok(value) => drop(environment.insert(name, value.unwrap_or_default().to_owned())),
            Err(failure) => ledger.failures.push(failure),
        }
    }
    environment
}

fn warning(engine: Engine, rule: &str, what: String, hint: &str) -> Warning {
    Warning { engine: Some(engine), instance: None, rule: rule.to_owned(), what, hint: hint.to_owned() }
}

/// A way in which a cache is laid out: where, below its root, each store is.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    name: &'static str,
    /// conda packages.
    pkgs: &'static str,
    /// Wheels.
    uv: &'static str,
}

/// Ours: each store really is where its name says.
const SPLIT: Layout = Layout { name: "split", pkgs: "conda/rattler/pkgs", uv: "pypi/uv" };
/// Warmed with `PIXI_CACHE_DIR=$ROOT/pixi`, which makes pixi ignore the other variables.
const PIXI: Layout = Layout { name: "pixi", pkgs: "pixi/pkgs", uv: "pixi/uv-cache" };
/// Warmed by a pixi before 0.68, which had no variable for the wheels alone.
const RATTLER: Layout = Layout { name: "rattler", pkgs: "conda/rattler/pkgs", uv: "conda/rattler/uv-cache" };

/// A cache's layout, and how it was found.
#[derive(Debug, PartialEq, Eq)]
struct FoundLayout {
    layout: &'static Layout,
    /// Its stores are filled; else the layout is our own choice.
    filled: bool,
    /// Stores that are filled as well and that this layout leaves unused.
    unused: Vec<PathBuf>,
}

/// The layout of the cache below `root`: the one that has all the stores that are filled, else ours.
///
/// Stores are compared where they really are: links between them are a known way to give one cache two layouts.
///
/// # Errors
/// The store that cannot be read, and why.
fn layout(root: &Path) -> Result<FoundLayout, (PathBuf, io::Error)> {
    let stores = |layout: &Layout| -> Result<BTreeSet<PathBuf>, (PathBuf, io::Error)> {
        let found = [filled(root, layout.pkgs, CONDA)?, filled(root, layout.uv, WHEELS)?];
        Ok(found.into_iter().flatten().collect())
    };
    let (ours, pixi, rattler) = (stores(&SPLIT)?, stores(&PIXI)?, stores(&RATTLER)?);
    let all: BTreeSet<PathBuf> = ours.iter().chain(&pixi).chain(&rattler).cloned().collect();
    let whole =
        [(&SPLIT, &ours), (&PIXI, &pixi), (&RATTLER, &rattler)].into_iter().find(|(_, has)| **has == all);
    Ok(match whole {
        Some((layout, has)) => FoundLayout { layout, filled: !has.is_empty(), unused: Vec::new() },
        None => {
            let unused = all.difference(&ours).cloned().collect();
            FoundLayout { layout: &SPLIT, filled: !ours.is_empty(), unused }
        }
    })
}

/// An entry that a store has only when something was put into it.
type IsEntry = fn(&str) -> bool;

/// A package; a dot begins the lock and what a crash left.
const CONDA: IsEntry = |name| !name.starts_with('.');
/// A bucket of uv's with packages in it; uv makes others for what it only looked up.
const WHEELS: IsEntry =
    |name| ["archive-v", "wheels-v", "sdists-v"].iter().any(|bucket| name.starts_with(bucket));

/// Where a store really is, if it holds a folder that shows that it has content. Stops at the first, as stores hold thousands.
fn filled(root: &Path, store: &str, is_entry: IsEntry) -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
    let path = root.join(store);
    let is_entry = |entry: &DirEntry| {
        entry.file_name().to_str().is_some_and(is_entry) && entry.file_type().is_ok_and(|kind| kind.is_dir())
    };
    let found = fs::read_dir(&path).map(|entries| entries.flatten().any(|entry| is_entry(&entry)));
    match found.and_then(|found| if found { fs::canonicalize(&path).map(Some) } else { Ok(None) }) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        found => found.map_err(|error| (path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache below a fresh folder of the test's own, with these folders in it.
    fn cache(test: &str, folders: &[&str]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("ienv-{test}-{}", std::process::id()));
        drop(fs::remove_dir_all(&root));
        fs::create_dir_all(&root).unwrap();
        let root = fs::canonicalize(root).unwrap();
        for folder in folders {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        root
    }

    #[test]
    fn the_layout_is_the_one_whose_stores_are_filled() {
        let (conda, wheels) = ("conda/rattler/pkgs/six-1.17.0-py_0", "pypi/uv/archive-v0");
        let (pixi_conda, pixi_wheels) = ("pixi/pkgs/six-1.17.0-py_0", "pixi/uv-cache/wheels-v6");
        let old_wheels = "conda/rattler/uv-cache/wheels-v5";
        let cases: [(&[&str], &str, bool, &[&str]); 15] = [
            (&[], "split", false, &[]),
            (&["conda/rattler/pkgs", "pypi/uv", "pixi/pkgs"], "split", false, &[]),
            (&["pixi/uv-cache/simple-v21", "pypi/uv/interpreter-v4"], "split", false, &[]),
            (&["pixi/pkgs/.six-1.17.0-py_0Xa12"], "split", false, &[]),
            (&[conda, wheels], "split", true, &[]),
            (&[conda], "split", true, &[]),
            (&[wheels], "split", true, &[]),
            (&[pixi_conda, pixi_wheels], "pixi", true, &[]),
            (&[pixi_conda, "conda/rattler/pkgs", "pypi/uv"], "pixi", true, &[]),
            (&[conda, old_wheels], "rattler", true, &[]),
            (&[old_wheels], "rattler", true, &[]),
            (&[conda, wheels, pixi_conda], "split", true, &["pixi/pkgs"]),
            (&[conda, wheels, old_wheels], "split", true, &["conda/rattler/uv-cache"]),
            (&[conda, pixi_wheels], "split", true, &["pixi/uv-cache"]),
            (&[old_wheels, pixi_wheels], "split", false, &["conda/rattler/uv-cache", "pixi/uv-cache"]),
        ];
        for (folders, name, filled, unused) in cases {
            let root = cache("layouts", folders);
            let laid = layout(&root).unwrap();
            let unused: Vec<PathBuf> = unused.iter().map(|store| root.join(store)).collect();
            assert_eq!((laid.layout.name, laid.filled, laid.unused), (name, filled, unused), "{folders:?}");
            fs::remove_dir_all(root).unwrap();
        }
    }

    #[test]
    fn linked_stores_are_one() {
        let root = cache("linked", &["conda/rattler/pkgs/six-1.17.0-py_0", "pypi/uv/wheels-v6", "pixi"]);
        std::os::unix::fs::symlink("../conda/rattler/pkgs", root.join("pixi/pkgs")).unwrap();
        std::os::unix::fs::symlink("../pypi/uv", root.join("pixi/uv-cache")).unwrap();
        assert_eq!(layout(&root).unwrap(), FoundLayout { layout: &SPLIT, filled: true, unused: vec![] });
        fs::remove_file(root.join("pixi/uv-cache")).unwrap();
        fs::rename(root.join("pypi/uv"), root.join("pixi/uv-cache")).unwrap();
        assert_eq!(layout(&root).unwrap().layout.name, "pixi", "it has both, ours only one");
        fs::remove_dir_all(root).unwrap();
    }
}
