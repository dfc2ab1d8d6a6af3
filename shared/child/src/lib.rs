//! How a child process of ours is started: as whom, and tied to whom.
//!
//! Owns the change of user, what a user may do with a path, the process group or session, the death signal, that no stray
//! descriptor is handed down, what to say of one that does not start and of how one ended, and where another tool of the suite is.
//! Nothing here knows what is run.
mod descriptors;
mod exit;
mod inherited;
mod not_run;
mod permission;
mod sibling;
mod start;
mod user;

pub use exit::{exit_code, exit_words};
pub use inherited::{only_inherited, only_inherited_all, only_inherited_and};
pub use not_run::{not_run, refused};
pub use permission::{noexec, permitted};
pub use sibling::sibling;
pub use start::{Leader, Start};
pub use user::User;
