//! What nvidia-smi says of this machine's GPUs: which there are, and who holds their memory.
//!
//! Owns how it is asked and how its lines are read. No nvidia-smi, one that fails, and one that says nothing in time are
//! all no answer. Knows nothing of plans, instances or whose a process is.
mod device;
mod holder;
mod meter;
mod nvidia_smi;
mod release;
mod selection;
mod snapshot;

pub use device::{Device, Memory, devices};
pub use holder::{Holder, bytes_held_by, holders};
pub use meter::Meter;
pub use nvidia_smi::full_output;
pub use release::{Unreleased, wait_until_released};
pub use selection::{Selection, VISIBLE, select};
pub use snapshot::Snapshot;
