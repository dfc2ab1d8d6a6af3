//! What root does for the user of an engine, without trust in that user: privilege separation.
//!
//! Owns three things. [`open`] and [`Folders`] go to a path that the operator named with no more rights than those who
//! could have put something else on the way. [`Rerun`] runs this tool again as the user. [`RecordFilter`] rebuilds what that
//! process wrote from a list of what may cross back.
#![expect(
    clippy::disallowed_methods,
    reason = "each call is made with the rights of whoever can have planted what it meets"
)]
mod filter;
mod folders;
mod listen;
mod path_walk;
mod rerun;
mod rights;
mod text;

pub use filter::RecordFilter;
pub use folders::Folders;
pub use path_walk::{LinkPolicy, open};
pub use rerun::{Rerun, is_rerun};
