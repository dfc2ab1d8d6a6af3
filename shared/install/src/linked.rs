//! `.installed-from.json` in an install root: a link to the marker of the current install, or what an older tool wrote there.
use crate::marker;
use owner::Dir;
use record::{Activation, Engine, Installed, Road};
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// Its name.
pub const LINK: &str = ".installed-from.json";

/// What it says. Ours has the fields of an `installed` record; those of older tools say only what was unpacked.
#[derive(Debug, Default, Deserialize)]
pub struct InstallLink {
    /// The engine.
    pub engine: Option<Engine>,
    /// Hash of all that went in.
    pub id: Option<String>,
    /// The install.
    pub path: Option<PathBuf>,
    /// vLLM, SGLang: the interpreter.
    pub python: Option<PathBuf>,
    /// llama.cpp: `llama-server`.
    pub executable: Option<PathBuf>,
    /// llama.cpp: where its libraries are.
    pub library_dir: Option<PathBuf>,
    /// vLLM, SGLang: what activation changes.
    pub activation: Option<Activation>,
    /// An older tool: sha256 of the bundle.
    pub bundle_sha256: Option<String>,
    /// An older tool: name of the archive.
    pub archive_name: Option<String>,
    /// sha256 of what was unpacked.
    pub sha256: Option<String>,
}

impl InstallLink {
    /// What the file in the root at `root` says; `None` where there is none. It is the installing user's, and is read with
    /// that user's rights.
    ///
    /// # Errors
    /// What the system says; of kind `InvalidData` that it is no marker.
    pub fn read(root: &Path) -> io::Result<Option<Self>> {
        let Some(value) = value(root)? else { return Ok(None) };
        Self::deserialize(value).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Whether it says of anything that it was unpacked there.
    #[must_use]
    pub fn names_a_source(&self) -> bool {
        [&self.bundle_sha256, &self.archive_name, &self.sha256].into_iter().any(Option::is_some)
    }

    /// The road of the install in the root at `root`, as far as the file says: of the older tools only that of bundles wrote
    /// `bundle_sha256`.
    #[must_use]
    pub fn road(root: &Path) -> Option<Road> {
        let value = value(root).ok()??;
        match value.get("road").map(Road::deserialize) {
            Some(Ok(road)) => Some(road),
            _ => value.get("bundle_sha256").map(|_| Road::Bundle),
        }
    }

    /// All that the file in the root at `root` says, the marker of the current install; `None` where there is none.
    ///
    /// # Errors
    /// As [`InstallLink::read`].
    pub fn marker(root: &Path) -> io::Result<Option<Value>> {
        value(root)
    }

    /// The whole record in it, where it is ours.
    #[must_use]
    pub fn record(root: &Path) -> Option<Installed> {
        Installed::deserialize(value(root).ok()??).ok()
    }
}

fn value(root: &Path) -> io::Result<Option<Value>> {
    let read = Dir::open(root).and_then(|root| root.read_through_links(LINK, marker::CEILING_BYTES));
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
