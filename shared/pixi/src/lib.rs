//! A pixi project and the programs that work on it.
//!
//! Owns what of a template is taken, which pixi there is and what its version means, what surrounds it when it runs, and
//! how such a long-running program is run and heard. Knows nothing of caches or installs.
mod environment;
mod job;
mod outputs;
mod program;
mod redact;
mod shortfall;
mod template;

pub use environment::{Network, surround};
pub use job::{Ended, Job};
pub use program::{Pixi, Version, on_path};
pub use redact::redact;
pub use shortfall::Shortfall;
pub use template::Template;
