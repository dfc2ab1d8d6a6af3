//! What nvidia-smi says of this machine's GPUs: which there are, and who holds their memory.
//!
//! Owns how it is asked and how its lines are read. No nvidia-smi, one that fails, and one that says nothing in time are
//! all no answer. Knows nothing of plans, instances or whose a process is.
mod ask;
mod chosen;
mod device;
mod holder;
mod meter;
mod reading;

pub use ask::screen;
pub use chosen::{Chosen, VISIBLE, choose};
pub use device::{Device, Memory, devices};
pub use holder::{Holder, held_by, holders};
pub use meter::Meter;
pub use reading::{Left, Reading, given_back};
