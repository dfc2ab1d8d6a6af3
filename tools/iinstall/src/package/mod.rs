//! A llama.cpp package, once it is unpacked: brought into one layout and proved to be able to start.
mod layout;
mod libraries;

pub(crate) use layout::{normalise, resolve_links};
pub(crate) use libraries::check;

/// The program that the package is there for, relative to an install.
pub(crate) const SERVER: &str = "bin/llama-server";

/// A path out of an archive, for a message: it may hold anything, and a terminal obeys some of that.
fn shown(path: &std::path::Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}
