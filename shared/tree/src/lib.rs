//! Processes that one of ours has started: who descends from it, who still carries an instance's mark, what they hold.
//!
//! Reads /proc and signals processes; knows nothing of state directories or of what an engine is.
#![expect(clippy::disallowed_methods, reason = "/proc is the kernel's")]
mod gone;
mod kept;
mod kill;
mod listener;
mod marked;
mod process;
mod segments;
mod sockets;
mod sweep;
mod usage;

pub use gone::{Pinned, ended};
pub use kept::{Kept, instance_of, keeper_of, kept, other_keeper};
pub use kill::kill;
pub use listener::{Listening, answers, holder, listening, named};
pub use marked::{mark, marked};
pub use process::{Process, descendants, family, signal};
pub use segments::{Before, Segment, remove};
pub use sweep::{Swept, sweep};
pub use usage::{Usage, processor_time, usage};
