//! Files and processes of a user, touched with that user's rights.
//!
//! Root acts on a user's things as that user, so that the kernel refuses what the user could not do himself, and believes
//! nothing that comes back. [`Owner`] is the user, [`Dir`] a folder below which nothing is reached through a path that
//! somebody else could have changed.
#![expect(clippy::disallowed_methods, reason = "this is the crate that all others go through")]
mod append;
mod credentials;
mod dir;
mod file;
mod look;
mod make;
mod owner;
#[cfg(test)]
mod tests;
mod walk;
mod write;

pub use dir::Dir;
pub use file::{open_file, read_as, read_file, read_named};
pub use look::{canonicalize, exists, is_dir, is_file, metadata, read_link, symlink_metadata};
pub use make::{make_common_folder, make_folder, make_private_folder};
pub use owner::{Owner, login_uid};
pub use write::is_draft_of;
