//! The run directory: what keepers write there and how everybody else reads it.
//!
//! `<run_dir>/<engine>/<instance>/` holds `lock`, `status.json`, `plan.json`, `secrets.json` and `api-key`. `ikeep` is the
//! only writer. Nothing here decides anything; it finds, reads and asks the lock.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod directory;
mod forget;
mod handover;
mod lock;
mod log;
mod note;
mod reached;
mod run_dir;
mod select;
mod status;
mod unrecorded;

pub use directory::Directory;
pub use handover::{Order, Report, Secrets};
pub use lock::{Lock, Taken};
pub use log::{log_since_start, log_tail, open_log};
pub use note::Note;
pub use run_dir::{
    Found, instances, make as make_run_dir, make_vocabulary_dir, of_user, preferred, vocabulary_dir,
};
pub use select::{everywhere, instance_names, named, names};
pub use status::Status;
pub use unrecorded::{Unrecorded, meant, unrecorded};
