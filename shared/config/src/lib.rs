//! An engine's TOML file, with its overrides, read and checked.
//!
//! Owns the file's keys, how overrides and defaults are merged, and what is said of a value that is none, with the line and
//! column where it stands. Knows no command line: `plan` writes the arguments.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make their own files"))]
mod config;
mod control;
mod document;
mod extra_args;
mod master;
mod problems;
pub mod rules;
mod schema;
mod value;

pub use config::{Config, Instance, ONE_ADDRESS, is_instance_name, read};
pub use control::Settings;
pub use document::Document;
pub use extra_args::ExtraArgument;
pub use master::Master;
pub use schema::schema;
pub use value::{Entry, Merge, Node, Place, Table, Value};
