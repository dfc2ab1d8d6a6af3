//! A Python environment, however it was made: what it takes to run from it, and that it does.
mod activation;
mod imports;

pub(crate) use activation::{PATH, from_hook, from_script};
pub(crate) use imports::check;
