//! The real engine and the tiny real model, made once and kept in the user's cache folder.
use super::root;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// A packed llama.cpp server and a model for it. `INFER_DEV_TEST_LLAMA_PKG=/path` puts another package in its place, a
/// genuine `llama-server` for one, and the same tests run on that.
pub(crate) struct Tiny {
    /// `.tar.gz` of the contract's layout, the real server in it.
    pub(crate) archive: PathBuf,
    /// GGUF of about 3 MB that answers with one English sentence.
    pub(crate) model: PathBuf,
}

impl Tiny {
    /// Made by `scripts/tiny/prepare`, which does nothing where they are already.
    pub(crate) fn get() -> &'static Self {
        static TINY: OnceLock<Tiny> = OnceLock::new();
        TINY.get_or_init(|| {
            let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
                || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"),
                PathBuf::from,
            );
            let dir = cache.join("infer-dev/tiny");
            let script = root().join("scripts/tiny/prepare");
            let status = Command::new(&script).arg(&dir).status().unwrap();
            assert!(status.success(), "{} failed: {status}", script.display());
            let archive = std::env::var_os("INFER_DEV_TEST_LLAMA_PKG")
                .map_or_else(|| dir.join("llama-server-tiny.tar.gz"), PathBuf::from);
            Self { archive, model: dir.join("tiny.gguf") }
        })
    }
}
