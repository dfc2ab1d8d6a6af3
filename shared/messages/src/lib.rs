//! The Anthropic Messages API as clients speak it, carried to an engine that speaks it or only chat completions.
//!
//! This crate turns values into values and bytes into bytes. It opens nothing, waits for nothing and knows no address: the
//! server that uses it does. No input makes it panic, and what it holds of a stream has a ceiling.
pub mod count;
pub mod errors;
pub mod native;
pub mod prefix;
mod refusal;
pub mod sse;
mod system;
pub mod translate;
pub mod usage;

pub use refusal::Refusal;
