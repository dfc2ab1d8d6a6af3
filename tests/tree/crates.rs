//! The crates: the maps name each, and what may depend on what.
use super::{manifest_value, names, sources, text, tool_names, tracked};
use crate::kit::root;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The dependencies of a crate that are crates of ours.
fn own_dependencies(manifest: &str) -> Vec<String> {
    let (_, dependencies) = manifest.split_once("[dependencies]\n").unwrap();
    let lines = dependencies.split("\n[").next().unwrap().lines();
    let of_line = |line: &str| line.split_once('.').map(|(name, _)| name.to_owned());
    let ours = names("shared");
    lines.filter_map(of_line).filter(|name| ours.contains(name)).collect()
}

#[test]
fn the_maps_name_every_crate_with_its_sentence_below_what_uses_it() {
    let (map, tools) = (text("shared/README.md"), text("tools/README.md"));
    let rows: Vec<Vec<&str>> = map
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
        .collect();
    let level_of = |name: &str| {
        let row = rows.iter().find(|row| row[1] == format!("`{name}`"));
        row.unwrap_or_else(|| panic!("shared/README.md has no row of {name}"))[0].parse::<u32>().unwrap()
    };
    for name in names("shared").iter() {
        let manifest = text(format!("shared/{name}/Cargo.toml"));
        let sentence = manifest.lines().find_map(|line| line.strip_prefix("description = ")).unwrap();
        let row = format!("| {} | `{name}` | {} |", level_of(name), sentence.trim_matches('"'));
        assert!(map.lines().any(|line| line == row), "shared/README.md: {row}");
        for dependency in own_dependencies(&manifest) {
            assert!(level_of(&dependency) < level_of(name), "{name} depends on {dependency}");
        }
    }
    for tool in tool_names() {
        let row = format!("| {} |", manifest_value(&tool, "description"));
        let named = |line: &&str| line.starts_with(&format!("| `{tool}` |")) && line.contains(&row);
        assert!(tools.lines().any(|line| named(&line)), "tools/README.md: {tool}");
    }
}

#[test]
fn the_files_that_the_maps_name_are_there() {
    for map in [
        "README.md",
        "tools/README.md",
        "shared/README.md",
        "shared/engine/README.md",
        ".github/CONTRIBUTING.md",
    ] {
        let page = text(map);
        for word in page.split('`').skip(1).step_by(2) {
            let is_file = [".rs", ".md", ".txt", ".py"].iter().any(|end| word.ends_with(end));
            if is_file && word.contains('/') && !word.contains(['<', '$', ' ']) && !word.starts_with("src/") {
                assert!(root().join(word).exists(), "{map}: {word}");
            }
        }
    }
}

#[test]
fn no_tool_depends_on_a_tool_and_every_dependency_is_used() {
    let tools = tool_names();
    for folder in ["tools", "shared"] {
        for name in names(folder) {
            let manifest = text(format!("{folder}/{name}/Cargo.toml"));
            let (_, dependencies) = manifest.split_once("[dependencies]\n").unwrap();
            let dependencies = dependencies.split("\n[").next().unwrap();
            let source = sources(&format!("{folder}/{name}"));
            for line in dependencies.lines().filter(|line| !line.trim().is_empty()) {
                let Some((dependency, _)) =
                    line.split_once(".workspace = true").or_else(|| line.split_once(" = { workspace = true"))
                else {
                    panic!("{folder}/{name}: '{line}': versions are the workspace's")
                };
                assert!(!tools.contains(&dependency.to_owned()), "{name} depends on the tool {dependency}");
                let used = dependency.replace('-', "_");
                assert!(source.contains(&used), "{folder}/{name} lists {dependency} and does not use it");
            }
        }
    }
}

/// The names that Rust source takes from its crate's root: the first one of every path after `crate::`.
fn root_names(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for after in source.split("crate::").skip(1) {
        let paths = match after.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![after],
        };
        let first = |path: &str| {
            path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
        };
        names.extend(paths.into_iter().filter_map(first).filter(|name| !name.is_empty()));
    }
    names
}

/// What modules have in common stands in a module, where it is found by its name.
#[test]
fn no_module_of_a_tool_imports_its_root() {
    assert_eq!(root_names("use crate::{a, b::C};\ncrate::d(x)"), ["a", "b", "d"].map(str::to_owned).into());
    for tool in tool_names() {
        let folder = PathBuf::from(format!("tools/{tool}/src"));
        let crate_root = text(folder.join("lib.rs"));
        let module = |line: &str| line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned);
        let modules: BTreeSet<String> = crate_root.lines().filter_map(module).collect();
        for path in tracked().iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
            let source = match path.strip_prefix(&folder) {
                Ok(file) if !["lib.rs", "main.rs"].map(Path::new).contains(&file) => text(path),
                _ => continue,
            };
            let foreign: Vec<_> = root_names(&source).difference(&modules).cloned().collect();
            assert!(foreign.is_empty(), "{} takes {foreign:?} from its root", path.display());
            let of_root = path.parent() == Some(&folder) && source.contains("\nuse super::");
            assert!(!of_root, "{} takes something from its root by 'super'", path.display());
        }
    }
}

/// Alone or as one of all in one program, a tool is the same: its `main.rs` only calls it.
#[test]
fn the_program_of_a_tool_is_its_library() {
    for tool in tool_names() {
        let crate_root = text(format!("tools/{tool}/src/lib.rs"));
        let sentence = crate_root.lines().next().unwrap();
        let program =
            format!("{sentence}\n\nfn main() -> std::process::ExitCode {{\n    {tool}::main()\n}}\n");
        assert_eq!(text(format!("tools/{tool}/src/main.rs")), program);
    }
}
