//! From the request to the install: what was asked for, what followed from it, what was verified, what was installed.
use super::cells::{facts, seconds, size, tabled, yes};
use crate::page::{Cell, Section, code, text};
use crate::run::{Entry, Run};

pub(crate) fn asked(run: &Run) -> Section {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for env in run.all("env").chain(run.all("bridge")) {
        let steps =
            if env.value("steps").is_some() { env.list("steps").join(", ") } else { "all".to_owned() };
        let from = ["archive", "bundle", "template_dir"].map(|name| env.text(name));
        let from = from.into_iter().find(|path| !path.is_empty()).unwrap_or_default();
        let engine = if env.kind() == "bridge" { "bridge".to_owned() } else { env.text("engine") };
        rows.push(vec![
            code(engine),
            text(steps),
            text(env.text("road")),
            code(from),
            code(env.text("config")),
        ]);
    }
    let mut section = tabled("Asked for", &["engine", "steps", "road", "from", "configuration"], rows);
    let skipped = |one: &Entry| vec![code(one.subject()), text(one.text("by")), text(one.text("why"))];
    section.table(&["skipped", "by", "why"], run.all("skipped").map(skipped).collect());
    section
}

/// Every value with where it came from, and what pixi gets.
pub(crate) fn resolved(run: &Run) -> Section {
    let mut section = Section::new("Resolved");
    for env in run.all("env").chain(run.all("bridge")) {
        let origins = env.pairs("origin");
        let origin = |name: &str| origins.iter().find(|(of, _)| of == name).map(|(_, from)| from.clone());
        let told = ["kind", "engine", "origin", "environment", "at_unix"];
        let values = env.members().keys().filter(|name| !told.contains(&name.as_str()));
        let row =
            |name: &String| vec![text(name), code(env.text(name)), text(origin(name).unwrap_or_default())];
        section.heading(if env.kind() == "bridge" { "bridge".to_owned() } else { env.text("engine") });
        section.table(&["value", "", "from"], values.map(row).collect());
        let variables =
            env.pairs("environment").into_iter().map(|(name, value)| vec![code(name), code(value)]);
        section.table(&["variable for pixi", ""], variables.collect());
    }
    section
}

pub(crate) fn verified(run: &Run) -> Section {
    let mut section = Section::new("Verified");
    let warmed = |one: &Entry| vec![code(one.text("engine")), text(one.text("pixi_version")), seconds(one)];
    section.table(&["cache filled for", "by pixi", "seconds"], run.all("warmed").map(warmed).collect());
    let cache = |one: &Entry| {
        let numbers = [one.text("packages"), size(one.number("bytes")), one.text("depth"), one.text("gaps")];
        let mut row = vec![code(one.text("engine"))];
        row.extend(numbers.map(text));
        row.push(seconds(one));
        row
    };
    let head = ["cache of", "packages", "bytes", "depth", "gaps", "seconds"];
    section.table(&head, run.all("cache").map(cache).collect());
    let gap = |one: &Entry| {
        let package = format!("{} {}", one.text("package"), one.text("version"));
        let detail = one.text("detail");
        vec![
            code(package.trim()),
            text(one.text("reason")),
            yes(one.flag("blocks")),
            text(detail),
            code(one.text("path")),
        ]
    };
    section.table(&["gap", "reason", "blocks", "detail", "where"], run.all("gap").map(gap).collect());
    let head = ["model", "format", "files", "size", "tensors", "complete", "problems", "seconds"];
    section.table(&head, run.all("model").map(model).collect());
    section
}

fn model(one: &Entry) -> Vec<Cell> {
    let size = size(one.number("bytes"));
    vec![
        code(one.text("path")),
        text(one.text("format")),
        text(one.text("files")),
        text(size),
        text(one.text("tensors")),
        yes(one.flag("complete")),
        text(one.list("problems").join("; ")),
        seconds(one),
    ]
}

pub(crate) fn installed(run: &Run) -> Section {
    let mut section = Section::new("Installed");
    for one in run.all("installed") {
        section.heading(one.text("engine"));
        let how = if one.flag("reused") { "It was there already." } else { "It was made in this run." };
        section.text(how);
        section.table(
            &["", ""],
            facts(one, &["id", "path", "executable", "python", "seal", "seconds", "previous"]),
        );
        let pairs =
            |name| one.pairs(name).into_iter().map(|(name, value)| vec![code(name), code(value)]).collect();
        section.table(&["check", ""], pairs("checks"));
        section.table(&["made from", ""], pairs("source"));
    }
    let packed = |one: &Entry| {
        vec![code(one.text("bundle")), code(one.text("sha256")), text(one.text("members")), seconds(one)]
    };
    section.table(&["bundle made", "sha256", "files", "seconds"], run.all("packed").map(packed).collect());
    section
}
