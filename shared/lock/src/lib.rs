//! Reading pixi.lock, versions 4 to 7.
//!
//! Owns the differences between the versions of the format (rattler_lock's `parse/models`): whoever asks gets the
//! packages of one environment on one platform, each with what the lock file knows of it. Knows nothing of caches.
//!
//! Handwritten on a YAML crate because that builds in a ninth of rattler_lock's time, from a tenth of its crates
//! (15 against 152) and into a ninth of its size, and half of serde-saphyr's; a lock file is read in a fiftieth of a second.
mod document;
mod error;
mod file;
mod host;
mod index;
mod limit;
mod package;
mod redact;

pub use error::Error;
pub use file::{Environment, LockFile, Platform};
pub use host::host_platform;
pub use limit::CEILING_BYTES;
pub use package::{Conda, Origin, Package, Pypi, archive_parts, percent_decode};
pub use redact::{redact, redact_query};
