//! Where the two stores of a pixi cache keep a locked package.
//!
//! Owns the layout of rattler's package cache (rattler_cache 0.10 to 0.12) and of uv's wheel cache (uv 0.11) as pixi uses
//! them, what a cache lies on, and reads what is there; moves what is damaged out of the way. Judges nothing: what a gap
//! is, `icache` says.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod conda;
mod container;
mod hash;
mod key;
mod pointer;
mod source;
mod wheel;

#[expect(clippy::disallowed_methods, reason = "acts with the rights of the user whose cache it is")]
mod quarantine;

pub use conda::{Entry, ListedPath, PackageIndex, PathType, PathsJson};
pub use container::on_container_layer;
pub use hash::hash_from_hex;
pub use key::normalised;
pub use quarantine::{Quarantine, lock_cache, lock_cache_if_present};
pub use source::Revision;
pub use wheel::{Pointer, Wheels};
