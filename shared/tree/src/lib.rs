//! Processes that one of ours has started: who descends from it, who still carries its instance id, what they hold.
//!
//! Reads /proc and signals processes; knows nothing of state directories or of what an engine is.
#![expect(clippy::disallowed_methods, reason = "/proc is the kernel's")]
mod instance_id;
mod kept_process;
mod kill;
mod listener;
mod process;
mod process_handle;
mod segments;
mod sockets;
mod stall_limit;
mod sweep;
mod usage;

pub use instance_id::{find_by_instance_id, instance_id};
pub use kept_process::{KeptProcess, find_kept, instance_of, keeper_of, other_keeper};
pub use kill::kill;
pub use listener::{Listening, answers, describe, holder, listening};
pub use process::{Process, descendants, family};
pub use process_handle::{ProcessHandle, signal, wait_for_exit};
pub use segments::{Baseline, Segment, remove};
pub use stall_limit::{Limits, StallLimit};
pub use sweep::{Swept, sweep};
pub use usage::{Usage, processor_time, usage};
