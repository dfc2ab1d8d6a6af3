//! The processes of an instance: who descends from its keeper, and who still carries its mark.
//!
//! Reads /proc and signals processes; knows nothing of state directories or of what an engine is.
mod marked;
mod process;

pub use marked::marked;
pub use process::{Process, descendants, signal};
