//! A pixi project and the programs that work on it.
//!
//! Owns what of a template is taken, which pixi there is and what its version means, what surrounds it when it runs, how
//! such a long-running program is run and heard, and what its last output means. Knows nothing of caches or installs.
#[expect(clippy::disallowed_methods, reason = "asks for a lock as the user whose cache it is")]
mod cache_lock;
mod chain;
mod environment;
mod error_report;
mod job;
#[expect(clippy::disallowed_methods, reason = "reads as the user whose project it is")]
mod manifest;
mod outputs;
mod program;
mod redact;
#[expect(clippy::disallowed_methods, reason = "copies as the user whose cache or project it fills")]
mod template;
mod version_limit;

pub use cache_lock::wait_for_cache;
pub use environment::{Network, set_environment};
pub use error_report::{Download, ErrorReport, Kind, override_variable};
pub use job::{Job, JobOutput};
pub use manifest::manifest_of;
pub use program::{Pixi, Version, on_path};
pub use redact::redact;
pub use template::Template;
pub use version_limit::VersionLimit;
