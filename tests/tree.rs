//! The repository's own rules, as far as a program can check them.
mod crates;
mod modules;
mod users;

use crate::kit::{root, tools};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a source file, and packages in Cargo.lock, above which somebody should think again.
const FILE_CEILING: usize = 300;
const LOCK_CEILING: usize = 210;

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Names in a folder of the repository, sorted; not what it says of itself.
fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "README.md");
    names.sort();
    names
}

pub(crate) fn tool_names() -> Vec<String> {
    names("tools")
}

/// Every file that git tracks or would track.
fn tracked() -> Vec<PathBuf> {
    let args = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(args).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "git ls-files failed");
    let list = String::from_utf8(output.stdout).unwrap();
    list.lines().map(PathBuf::from).filter(|path| root().join(path).is_file()).collect()
}

/// The value of a `key = "value"` line of a tool's Cargo.toml.
fn manifest_value(tool: &str, key: &str) -> String {
    let manifest = text(format!("tools/{tool}/Cargo.toml"));
    let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{key} = "))).unwrap();
    line.trim_matches('"').to_owned()
}

pub(crate) fn help_of(tool: &str) -> String {
    let output = Command::new(tools().join(tool)).arg("--help").output().unwrap();
    assert!(output.status.success(), "{tool} --help failed");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_top_level_holds_what_it_may_and_nothing_else() {
    let allowed = ["Cargo.toml", "Cargo.lock", "tools", "shared", "scripts", "tests", "man", "README.md"];
    let top: BTreeSet<String> = tracked()
        .iter()
        .map(|path| path.components().next().unwrap().as_os_str().to_str().unwrap().to_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    let strangers: Vec<_> = top.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

#[test]
fn every_tool_has_one_page_one_test_file_and_one_description() {
    let (readme, overview) = (text("README.md"), text("man/infer-dev.7"));
    let tests = text("tests/all.rs");
    for tool in tool_names() {
        let description = manifest_value(&tool, "description");
        let page = text(format!("man/{tool}.1"));
        assert!(page.contains(&format!(".Nd {description}\n")), "man/{tool}.1: NAME is not '{description}'");
        assert!(readme.contains(&format!("| `{tool}` | {description} |")), "README.md: row of {tool}");
        let row = format!(".It Xr {tool} 1\n{description}\n");
        assert!(overview.contains(&row), "man/infer-dev.7: row of {tool}");
        assert!(overview.contains(&format!(".Xr {tool} 1 ,\n")), "man/infer-dev.7: SEE ALSO");
        assert!(tests.contains(&format!("mod {tool};")), "tests/all.rs has no {tool}");
        let help = help_of(&tool);
        assert!(help.to_lowercase().starts_with(&description.to_lowercase()), "{tool} --help: {help}");
        assert!(help.contains(&format!("see {tool}(1)")), "{tool} --help does not name its page");
        assert!(help.lines().count() <= 40, "{tool} --help is longer than a screen");
    }
}

/// Long options of a `--help` text: the first words of its option lines.
pub(crate) fn options_of_help(help: &str) -> BTreeSet<String> {
    let lines = help.lines().filter(|line| line.starts_with("  ") && line.trim_start().starts_with('-'));
    lines
        .flat_map(|line| line.split_whitespace().take(2))
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned())
        .map(|word| word.split(['=', '[', '<']).next().unwrap().to_owned())
        .collect()
}

/// Long options that a page documents: the `.It Fl` lines of its OPTIONS section.
fn options_of_page(page: &str) -> BTreeSet<String> {
    let (_, rest) = page.split_once(".Sh OPTIONS\n").unwrap();
    let section = rest.split("\n.Sh ").next().unwrap();
    let items = section.lines().filter(|line| line.starts_with(".It Fl"));
    items
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.strip_prefix('-').filter(|name| name.len() > 1))
        .map(str::to_owned)
        .collect()
}

#[test]
fn help_and_page_name_the_same_options() {
    for tool in tool_names() {
        let page = text(format!("man/{tool}.1"));
        assert_eq!(
            options_of_help(&help_of(&tool)),
            options_of_page(&page),
            "{tool}: help (left), page (right)"
        );
    }
}

#[test]
fn pages_have_the_fixed_sections_and_the_suites_exit_codes() {
    let order = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "RECORDS",
        "OPTIONS",
        "ENVIRONMENT",
        "FILES",
        "EXIT STATUS",
        "EXAMPLES",
        "SEE ALSO",
        "CAVEATS",
    ];
    let codes = ["0", "1", "2", "65", "69", "75", "126", "127", "128+n"];
    for tool in tool_names() {
        let page = text(format!("man/{tool}.1"));
        let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".Sh ")).collect();
        assert_eq!(sections, order, "man/{tool}.1");
        let (_, status) = page.split_once(".Sh EXIT STATUS\n").unwrap();
        let rows =
            status.split("\n.Sh ").next().unwrap().lines().filter_map(|line| line.strip_prefix(".It "));
        for row in rows {
            for code in row.trim_start_matches("Li ").split([',', ' ']).filter(|code| !code.is_empty()) {
                assert!(codes.contains(&code), "man/{tool}.1: exit status {row}");
            }
        }
    }
}

/// All Rust source of a crate.
fn sources(folder: &str) -> String {
    let of_crate = |path: &PathBuf| path.starts_with(folder) && path.extension().is_some_and(|e| e == "rs");
    tracked().iter().filter(|path| of_crate(path)).map(text).collect()
}

#[test]
fn files_and_the_lock_file_stay_below_their_ceilings() {
    let mut long = Vec::new();
    for path in tracked().iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let lines = text(path).lines().count();
        if lines > FILE_CEILING {
            long.push(format!("{} ({lines})", path.display()));
        }
    }
    assert!(long.is_empty(), "files over {FILE_CEILING} lines: {long:?}");
    let packages = text("Cargo.lock").lines().filter(|line| *line == "[[package]]").count();
    assert!(packages <= LOCK_CEILING, "{packages} packages in Cargo.lock, at most {LOCK_CEILING}");
}

#[test]
fn nothing_secret_and_nothing_of_one_machine_is_tracked() {
    for path in tracked() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let secret = name == ".env" || name.ends_with(".pem") || name == "secrets.json" || name == "api-key";
        assert!(!secret, "{} looks like a secret", path.display());
        let Ok(content) = std::fs::read_to_string(root().join(&path)) else { continue };
        for trace in
            [concat!("BEGIN PRIV", "ATE KEY"), concat!("BEGIN OPEN", "SSH PRIVATE"), concat!("/ro", "ot/.")]
        {
            assert!(!content.contains(trace), "{} contains '{trace}'", path.display());
        }
    }
}

#[test]
fn every_test_file_is_part_of_the_test_binary() {
    let all = text("tests/all.rs");
    for name in names("tests").iter().filter_map(|name| name.strip_suffix(".rs")) {
        assert!(name == "all" || all.contains(&format!("mod {name};")), "tests/{name}.rs is not in all.rs");
    }
}

/// Words at the head of a pipeline's stages in the README's indented or fenced blocks.
#[test]
fn the_readmes_pipelines_name_tools_and_options_that_exist() {
    let tools = tool_names();
    let readme = text("README.md");
    for line in readme.lines().filter(|line| line.contains(" | ") && !line.starts_with('|')) {
        for stage in line.split(" | ") {
            let mut words = stage.split_whitespace().skip_while(|word| word.contains('='));
            let Some(tool) = words.find(|word| word.starts_with('i')).map(|word| word.trim_matches('`'))
            else {
                continue;
            };
            assert!(tools.contains(&tool.to_owned()), "README.md: no tool '{tool}' in: {line}");
            let help = options_of_help(&help_of(tool));
            for option in words.filter_map(|word| word.strip_prefix("--")) {
                assert!(help.contains(option), "README.md: {tool} has no --{option}");
            }
        }
    }
}

#[test]
fn the_readmes_figures_are_what_bench_printed() {
    let check = root().join("scripts/bench.d/table");
    let checked = Command::new(check).arg("--check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let readme = text("README.md");
    let (before, rest) = readme.split_once("<!-- scripts/bench.d/table -->").unwrap();
    let (_, after) = rest.split_once("<!-- end of the table -->").unwrap();
    for line in before.lines().chain(after.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_measure = |pair: &&[&str]| {
            pair[0].parse::<f64>().is_ok() && ["ms", "times"].contains(&pair[1].trim_end_matches([',', '.']))
        };
        assert_eq!(words.windows(2).find(is_measure), None, "README.md, outside the table: {line}");
    }
}
