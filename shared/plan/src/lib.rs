//! From `env` records and an engine's configuration to `plan` records.
//!
//! Owns how arguments are written for each engine, what is checked before anything starts, and where a secret goes; `config`
//! reads the TOML file. Plans all engines at once, because ports and GPUs are checked across all. Starts nothing and writes
//! nothing; `iplan` and `ilaunch` are its callers.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod address;
mod argument;
mod arguments;
mod asked_vocabulary;
mod bridge;
mod busy;
mod by_table;
mod by_vocabulary;
mod cache;
mod changes;
mod defaults;
mod devices;
mod draft;
mod environment;
mod extra;
mod files;
mod found_program;
mod input;
mod install;
mod instance;
mod item;
mod key_file;
mod leftover;
mod litellm;
mod login;
mod model;
mod offline;
mod options;
mod planner;
mod planning;
mod port;
mod preflight;
mod preset;
mod program;
mod recheck;
mod running;
mod secret;
mod secret_name;
mod secrets;
mod slot;
mod stopping;
mod typed;

pub use config::rules::{GPU_MEMORY, UNPLANNED};
pub use defaults::defaults;
pub use input::Input;
pub use item::Item;
pub use login::logins;
pub use options::Options;
pub use planner::{Planner, Plans};
pub use planning::{dropped, plan_all};
pub use recheck::recheck;
pub use running::RunningInstances;
pub use secret_name::{is_name, leaves};
pub use secrets::secrets;
