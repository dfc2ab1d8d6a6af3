//! The run directory: what keepers write there and how everybody else reads it.
//!
//! `<run_dir>/<engine>/<instance>/` holds `lock`, `status.json`, `plan.json`, `secrets.json` and `api-key`. `ikeep` is the
//! only writer. Nothing here decides anything; it finds, reads and asks the lock. Who has changed what is in `audit.jsonl`.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
pub mod audit;
mod dir_cache;
mod directory;
mod forget;
mod handover;
mod instances;
mod lock;
mod log;
mod note;
mod run_dir;
mod select;
mod status;
mod unrecorded;

pub use directory::Directory;
pub use forget::is_no_file;
pub use handover::{Secrets, StartReport, StartRequest, split_stopping, stopping_line};
pub use instances::{Instances, instances};
pub use lock::{Lock, LockHeld};
pub use log::{log_since_start, log_tail, open_log};
pub use note::Note;
pub use run_dir::{make as make_run_dir, make_vocabulary_dir, of_user, preferred, vocabulary_dir};
pub use select::{filter, find_all, instance_names, names};
pub use status::Status;
pub use unrecorded::{Unrecorded, find_named, find_unrecorded};
