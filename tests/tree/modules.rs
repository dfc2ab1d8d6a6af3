//! Within a crate, too, one part is made of others and not of itself: no module uses one that uses it in turn.
//!
//! What counts is a path in the source: from `crate`, `super`, `self` or a module's own child. A name that a module only hands on
//! (`pub use`) is used where it is defined. A parent and its child are no exception: either may use the other, not both.
use super::{names, text, tracked};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A crate, and a module of it whose children may use it: a type whose methods are in several files.
const ONE_TYPE_IN_SEVERAL_FILES: [(&str, &str); 1] = [
    // What a keeper holds is one value; its children are what it does at an end, while it waits, and beside that.
    ("ikeep", "keeper"),
];

/// A module, by its path below the crate's root.
type Module = Vec<String>;

/// The modules of one crate.
#[derive(Default)]
struct Modules {
    /// Without comments, tests and what is handed on.
    sources: BTreeMap<Module, String>,
    /// What a name stands for that a module hands on: a path in that module.
    handed_on: BTreeMap<(Module, String), Vec<String>>,
}

impl Modules {
    /// From the files of a crate, each by its path below `src`.
    fn of<'a>(files: impl Iterator<Item = (&'a Path, String)>) -> Self {
        let mut all = Self::default();
        for (path, source) in files {
            let mut module: Module =
                path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if ["lib", "mod"].contains(&module.last().unwrap().as_str()) {
                module.pop();
            }
            let (mut rest, handed_on) = without_reexports(&without_tests(&source));
            for mut path in handed_on {
                let name = path.pop().unwrap();
                let renamed = name.split_once(" as ");
                path.push(renamed.map_or(name.as_str(), |(name, _)| name).to_owned());
                let name = renamed.map_or(name.as_str(), |(_, name)| name);
                all.handed_on.insert((module.clone(), name.to_owned()), path);
            }
            rest.push('\n');
            all.sources.insert(module, rest);
        }
        all
    }

    /// The module that a path leads to from within `from`; `None` where that is not of this crate.
    fn target(&self, from: &[String], path: &[String]) -> Option<Module> {
        let mut at = from.to_owned();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => at.clear(),
            "super" | "self" => {}
            child => {
                at.push(child.to_owned());
                self.sources.get(&at)?;
            }
        }
        while rest.first().is_some_and(|name| name == "super") {
            at.pop();
            rest = &rest[1..];
        }
        rest = if rest.len() == path.len() { &rest[1..] } else { rest };
        while let Some(name) = rest.first() {
            if let Some(path) = self.handed_on.get(&(at.clone(), name.clone())) {
                return self.target(&at, path);
            }
            at.push(name.clone());
            if !self.sources.contains_key(&at) {
                at.pop();
                break;
            }
            rest = &rest[1..];
        }
        Some(at)
    }

    /// Which modules each one uses.
    fn uses(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of = |(module, source): (&'_ Module, &String)| {
            let found = paths(source).into_iter().filter_map(|path| self.target(module, &path));
            found.filter(|target| target != module).collect()
        };
        self.sources.iter().map(|entry| (entry.0, of(entry))).collect()
    }

    /// Every use, `a -> b`, that is part of a circle, but for those of `parent` by its children.
    fn circles(&self, parent: Option<&str>) -> Vec<String> {
        let mut uses = self.uses();
        for (module, targets) in &mut uses {
            targets.retain(|target| {
                !(module.len() > target.len() && target.len() == 1 && parent == Some(target[0].as_str()))
            });
        }
        let reaches = |from: &Module, to: &Module| {
            let (mut met, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(module) = next.pop() {
                next.extend(uses[module].iter().filter(|target| met.insert((*target).clone())));
            }
            met.contains(to)
        };
        let name =
            |module: &Module| if module.is_empty() { "the root".to_owned() } else { module.join("::") };
        let edges = uses.iter().flat_map(|(from, targets)| targets.iter().map(move |to| (*from, to)));
        let edges = edges.filter(|(from, to)| reaches(to, from));
        edges.map(|(from, to)| format!("{} -> {}", name(from), name(to))).collect()
    }
}

/// A source without its comments, and without the tests at its end.
fn without_tests(source: &str) -> String {
    let mut lines = Vec::new();
    let mut all = source.lines().peekable();
    while let Some(line) = all.next() {
        let begins = |next: &&str| next.contains("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && all.peek().is_some_and(begins) {
            break;
        }
        if !line.trim_start().starts_with("//") {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// A source without what it hands on, and the paths of that.
fn without_reexports(source: &str) -> (String, Vec<Vec<String>>) {
    let (mut rest, mut handed_on) = (String::new(), Vec::new());
    for statement in source.split_inclusive(';') {
        let begins = |line: &str| line.starts_with("pub ") || line.starts_with("pub(");
        let tree = statement.split_once("use ").filter(|(before, _)| {
            before.rsplit('\n').next().is_some_and(|line| begins(line) && !line.contains('{'))
        });
        match tree {
            Some((before, tree)) => {
                rest.push_str(before);
                let at = tree.trim_end_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
                handed_on.extend(expanded(&at));
            }
            None => rest.push_str(statement),
        }
    }
    (rest, handed_on)
}

/// The paths of a tree of names, `a::{b, c::d}`.
fn expanded(tree: &str) -> Vec<Vec<String>> {
    let Some((before, group)) = tree.split_once('{') else {
        return vec![tree.split("::").map(|name| name.trim().to_owned()).collect()];
    };
    let group = &group[..group.rfind('}').unwrap_or(group.len())];
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[begin..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(|part| expanded(&format!("{}{part}", before.trim()))).collect()
}

/// All paths of several names in a source, whether they stand in a `use` or elsewhere.
fn paths(source: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut rest) = (Vec::new(), source);
    while let Some(at) = rest.find("::") {
        let begin = rest[..at].rfind(|c| !is_word(c)).map_or(0, |before| before + 1);
        let mut end = at;
        while let Some(more) = rest[end..].strip_prefix("::") {
            let word = more.find(|c| !is_word(c)).unwrap_or(more.len());
            end += 2 + word;
            if word == 0 {
                end += if more.starts_with('{') { more.find("};").map_or(0, |close| close + 1) } else { 0 };
                break;
            }
        }
        found.extend(expanded(&rest[begin..end]));
        rest = &rest[end..];
    }
    found
}

/// The modules of a crate of ours.
fn modules_of(folder: &str) -> Modules {
    let src = Path::new(folder).join("src");
    let all = tracked();
    let files = all.iter().filter_map(|path| {
        let below = path.strip_prefix(&src).ok()?;
        let is_source = below.extension().is_some_and(|end| end == "rs");
        let counts = is_source
            && below != Path::new("main.rs")
            && below.with_extension("").iter().all(|part| part != "tests");
        counts.then(|| (below, text(path)))
    });
    Modules::of(files)
}

#[test]
fn no_module_uses_one_that_uses_it() {
    let mut found = Vec::new();
    for folder in ["tools", "shared"] {
        for name in names(folder) {
            let modules = modules_of(&format!("{folder}/{name}"));
            let allowed =
                ONE_TYPE_IN_SEVERAL_FILES.iter().find(|(of, _)| *of == name).map(|(_, parent)| *parent);
            assert!(allowed.is_none() || !modules.circles(None).is_empty(), "{name} needs no exception");
            found.extend(modules.circles(allowed).iter().map(|edge| format!("{folder}/{name}: {edge}")));
        }
    }
    assert!(found.is_empty(), "modules that use each other:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found_by_whichever_path_a_module_names_another() {
    let circles = |files: &[(&str, &str)]| {
        Modules::of(files.iter().map(|(path, source)| (Path::new(*path), (*source).to_owned()))).circles(None)
    };
    let both = ["a -> b", "b -> a"];
    assert_eq!(circles(&[("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { super::a::g() }")]), both);
    assert_eq!(circles(&[("a.rs", "use crate::{\n    b::{self, B},\n};"), ("b.rs", "crate::a::g()")]), both);
    let handed_on = [("lib.rs", "pub use a::A;"), ("a.rs", "use crate::b;"), ("b.rs", "use crate::A;")];
    assert_eq!(circles(&handed_on), both);
    let parent = [("p/mod.rs", "mod c;\nfn f() { c::g() }"), ("p/c.rs", "use super::F;")];
    assert_eq!(circles(&parent), ["p -> p::c", "p::c -> p"]);
    let none: [&[(&str, &str)]; 4] = [
        &[
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "//! As crate::a.\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}"),
        ],
        &[("lib.rs", "pub use a::A;\nmod a;"), ("a.rs", "use crate::b::B;"), ("b.rs", "")],
        &[("p/mod.rs", "mod c;"), ("p/c.rs", "use super::F;")],
        &[("lib.rs", "pub use other::Code;\nmod a;\nfn f() { a::g() }"), ("a.rs", "use crate::Code;")],
    ];
    for files in none {
        assert_eq!(circles(files), [""; 0], "{files:?}");
    }
}
