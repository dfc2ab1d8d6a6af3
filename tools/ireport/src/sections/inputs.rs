//! The hashes of everything that went in, and what was not hashed.
use super::cells::tabled;
use crate::page::{Cell, Section, code, text};
use crate::run::{Entry, Run};

pub(crate) fn section(run: &Run) -> Section {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for entry in &run.entries {
        let row = match entry.kind() {
            "installed" => Some(install(entry)),
            "warmed" | "cache" => Some(("pixi.lock", String::new(), entry.text("lock_sha256"))),
            "packed" => Some(("bundle made", entry.text("bundle"), entry.text("sha256"))),
            "plan" => {
                Some(("configuration and overrides", entry.text("config"), entry.text("config_sha256")))
            }
            "model" => Some(("model", entry.text("path"), model(entry))),
            _ => None,
        };
        if let Some((what, path, hash)) = row {
            let row = vec![text(what), code(entry.subject()), code(path), code(hash)];
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    tabled("What went in", &["what", "for", "path", "sha256"], rows)
}

/// The id of an install is the hash of all that it was made from.
fn install(installed: &Entry) -> (&'static str, String, String) {
    let source = installed.value("source").and_then(|source| source.get("path"));
    let path = source.map(crate::run::shown).unwrap_or_default();
    ("archive, bundle or template", path, installed.text("id"))
}

/// Weights are checked from their headers, and hashed only against a manifest.
fn model(model: &Entry) -> String {
    match (model.value("manifest"), model.number("hashed_bytes")) {
        (Some(_), Some(_)) => format!("as in {}", model.text("manifest")),
        (Some(_), None) => format!("not hashed in this run; its manifest is {}", model.text("manifest")),
        (None, _) => "not hashed: no manifest".to_owned(),
    }
}
