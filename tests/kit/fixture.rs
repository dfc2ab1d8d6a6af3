//! Templates, caches and bundles for tests.
use super::pixi::copy;
use super::{Pixi, root};
use std::path::{Path, PathBuf};

/// `template` and `cache` (`conda/rattler` and `pypi/uv`) below a folder: what pixi 0.77.0 wrote of a workspace of three
/// conda packages and three wheels. All the caller's own.
pub(crate) fn tiny(into: &Path) {
    for part in ["template", "cache"] {
        copy(&Pixi::get().dir.join("tiny").join(part), into);
    }
}

/// The bundle that pixi-pack 0.7.10 made of that workspace.
pub(crate) fn bundle() -> PathBuf {
    root().join("tests/data/bundle-tiny.tar")
}
