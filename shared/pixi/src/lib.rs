//! A pixi project and the programs that work on it.
//!
//! Owns what of a template is taken, which pixi there is and what its version means, what surrounds it when it runs, how
//! such a long-running program is run and heard, and what its last words mean. Knows nothing of caches or installs.
#[expect(clippy::disallowed_methods, reason = "asks for a lock as the user whose cache it is")]
mod cache_lock;
mod chain;
mod environment;
mod job;
#[expect(clippy::disallowed_methods, reason = "reads as the user whose project it is")]
mod manifest;
mod outputs;
mod program;
mod redact;
mod shortfall;
#[expect(clippy::disallowed_methods, reason = "copies as the user whose cache or project it fills")]
mod template;
mod why;

pub use cache_lock::wait_for_cache;
pub use environment::{Network, surround};
pub use job::{Ended, Job};
pub use manifest::manifest_of;
pub use program::{Pixi, Version, on_path};
pub use redact::redact;
pub use shortfall::Shortfall;
pub use template::Template;
pub use why::{Download, Kind, Why, override_variable};
