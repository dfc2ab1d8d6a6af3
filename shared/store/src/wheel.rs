//! uv's cache as pixi uses it: pointers in `wheels-v6`, unpacked wheels in `archive-v0`.
use crate::key::{self, WheelName};
use crate::pointer;
use lock::{Origin, Pypi};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The index that has a folder of its own, by uv's default; all others go by digest.
const DEFAULT_INDEX: &str = "https://pypi.org/simple";

/// The wheel cache below one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wheels {
    root: PathBuf,
}

/// What a pointer says: where the unpacked wheel is, and what was checked when it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The folder's name in `archive-v0`. It is random, and says nothing of what is in it.
    pub archive: String,
    /// The hashes that were known when it was fetched, algorithm (`Sha256`, `Md5`) and hex; none where nobody asked.
    pub hashes: Vec<(String, String)>,
    /// The wheel's file name, its project's name normalised.
    pub wheel: String,
}

/// `[archive, [[algorithm, hex], …], file name, version]`, as rmp-serde writes uv's `Archive`.
#[derive(Deserialize, Serialize)]
struct Archive(String, Vec<(String, String)>, String, u64);

impl Wheels {
    /// The wheel cache at `root` (`$ROOT/pypi/uv`).
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where the pointer of a wheel may be, the likeliest first; empty for what is not a wheel of an index or URL.
    #[must_use]
    pub fn pointers(&self, package: &Pypi) -> Vec<PathBuf> {
        let Some(file) = package.wheel_name() else { return Vec::new() };
        let Some(wheel) = WheelName::parse(&file) else { return Vec::new() };
        let folders = match &package.origin {
            Origin::Wheel { index, .. } => index_folders(index.as_deref()),
            Origin::DirectWheel { url } => vec![by_digest("url", url)],
            _ => Vec::new(),
        };
        let name = key::normalised(&package.name);
        let mut versions = vec![package.version.as_deref().unwrap_or(wheel.version), wheel.version];
        versions.dedup();
        let file = |folder: &String, version: &str| {
            self.root.join(format!("wheels-v6/{folder}/{name}/{}.http", wheel.key(version)))
        };
        folders.iter().flat_map(|folder| versions.iter().map(move |version| file(folder, version))).collect()
    }

    /// Where uv keeps a source distribution and what it built from it; empty for what is none.
    #[must_use]
    pub fn sources(&self, package: &Pypi) -> Vec<PathBuf> {
        let sdists = self.root.join("sdists-v9");
        match &package.origin {
            Origin::DirectSdist { url } => vec![sdists.join(by_digest("url", url))],
            Origin::Sdist { index, .. } => {
                let name = key::normalised(&package.name);
                let version = package.version.as_deref().unwrap_or_default();
                let below = |folder: String| sdists.join(format!("{folder}/{name}/{version}"));
                index_folders(index.as_deref()).into_iter().map(below).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Where the pointer would be in the cache of a pixi before 0.70, which newer ones do not look at.
    #[must_use]
    pub fn older_pointer(&self, package: &Pypi) -> Option<PathBuf> {
        let newer = self.pointers(package).into_iter().next()?;
        let below = newer.strip_prefix(self.root.join("wheels-v6")).ok()?;
        Some(self.root.join("wheels-v5").join(below))
    }

    /// The unpacked wheel that a pointer names.
    #[must_use]
    pub fn archive(&self, pointer: &Pointer) -> PathBuf {
        self.root.join("archive-v0").join(&pointer.archive)
    }
}

fn by_digest(kind: &str, url: &str) -> String {
    format!("{kind}/{}", key::digest(&key::canonical_url(url)))
}

/// Version 7 names the index, and leaves out the default one; older locks say nothing and all is looked up there.
fn index_folders(index: Option<&str>) -> Vec<String> {
    match index {
        None | Some(DEFAULT_INDEX) => vec!["pypi".to_owned()],
        // With a trailing slash it is the same place under another name, and it is not known which pixi looks at.
        Some(url) if url.trim_end_matches('/') == DEFAULT_INDEX => {
            vec![by_digest("index", url), "pypi".to_owned()]
        }
        Some(url) => vec![by_digest("index", url)],
    }
}

impl Pointer {
    /// Read a pointer.
    ///
    /// # Errors
    /// What the system says, or what is wrong with the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let Archive(archive, hashes, wheel, version) = pointer::read(path)?;
        if version != 0 || !pointer::is_name(&archive) {
            return Err(io::Error::other(format!("it names the archive '{archive}' of version {version}")));
        }
        Ok(Self { archive, hashes, wheel })
    }

    /// The pointer's file, as uv writes it of a wheel that it fetched from `url`, `now` in unix seconds.
    ///
    /// # Errors
    /// It cannot be written as msgpack.
    pub fn encode(&self, url: &str, now: u64) -> io::Result<Vec<u8>> {
        let Self { archive, hashes, wheel } = self.clone();
        pointer::write(&Archive(archive, hashes, wheel, 0), url, now)
    }

    /// The name that uv gives a wheel of this file name: its project's name normalised.
    #[must_use]
    pub fn name_of(file: &str, package: &Pypi) -> Option<String> {
        let wheel = WheelName::parse(file)?;
        let version = package.version.as_deref().unwrap_or(wheel.version);
        Some(format!("{}-{version}-{}.whl", wheel.name.replace('-', "_"), wheel.tags))
    }

    /// Whether it stands for this wheel. uv writes the project's name normalised, whatever the file's name is.
    #[must_use]
    pub fn is_for(&self, file: &str, package: &Pypi) -> bool {
        let (Some(has), Some(wanted)) = (WheelName::parse(&self.wheel), WheelName::parse(file)) else {
            return false;
        };
        let version = [Some(wanted.version), package.version.as_deref()].contains(&Some(has.version));
        has.name == wanted.name && version && has.tags == wanted.tags
    }
}
