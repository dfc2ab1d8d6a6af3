//! Reading pixi.lock, versions 4 to 7.
//!
//! Owns the differences between the versions of the format (rattler_lock's `parse/models`): whoever asks gets the
//! packages of one environment on one platform, each with what the lock file knows of it. Knows nothing of caches.
mod document;
mod file;
mod package;

pub use file::{Environment, Error, LockFile, Platform};
pub use package::{Conda, Origin, Package, Pypi, percent_decode};
