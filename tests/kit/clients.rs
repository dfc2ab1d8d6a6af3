//! Real clients of the two APIs, and real readers of models, from PyPI and npm, got once and kept in the user's cache folder.
use super::{left_out, not_run, root};
use std::path::PathBuf;
use std::process::Command;

/// Got by `scripts/test.d/clients`; where that cannot be done, the test says that it was not run.
pub(crate) fn clients(what: &str) -> Option<PathBuf> {
    if std::env::var_os("INFER_DEV_TEST_BARE").is_some() {
        // Everything else of it runs outside.
        left_out(&format!("the bare machine has no network to get {what} by"));
        return None;
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
    let dir = cache.join("infer-dev/clients");
    let script = root().join("scripts/test.d/clients");
    if Command::new(&script).arg(&dir).arg(what).status().unwrap().success() {
        return Some(dir.join(what));
    }
    not_run(&format!("{} cannot get {what}", script.display()));
    None
}
