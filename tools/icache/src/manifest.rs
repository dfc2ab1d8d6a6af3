//! `infer-dev-manifest-<lock hash>.json` in the cache's root: what a cache that was proved whole looked like.
//!
//! A lock file has no hash of an unpacked package, only of the archive it came from; the manifest has.
use crate::tree::Tree;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Format 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) lock_sha256: String,
    /// The pixi on PATH when it was written; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) pixi_version: Option<String>,
    pub(crate) created_unix: u64,
    pub(crate) platform: String,
    pub(crate) environment: String,
    pub(crate) packages: Vec<Package>,
}

/// One package of the manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Of the archive, as in the lock file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) sha256: Option<String>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Over the unpacked tree.
    pub(crate) tree_sha256: String,
}

impl Package {
    /// What a hashed tree looks like in a manifest.
    pub(crate) fn of(name: &str, version: &str, sha256: Option<&str>, tree: &Tree) -> Self {
        let (files, bytes) = tree.extent();
        let (name, version, sha256) = (name.to_owned(), version.to_owned(), sha256.map(str::to_owned));
        Self { name, version, sha256, files, bytes, tree_sha256: tree.sha256() }
    }
}

impl Manifest {
    /// Where the manifest for a lock file is. One per lock, so that caches may be shared.
    pub(crate) fn path(cache_root: &Path, lock_sha256: &str) -> PathBuf {
        cache_root.join(format!("infer-dev-manifest-{lock_sha256}.json"))
    }

    /// The manifest for this lock file, if there is one.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(bytes) => {
                let manifest: Self = serde_json::from_slice(&bytes)?;
                if manifest.format == 1 {
                    return Ok(Some(manifest));
                }
                Err(io::Error::other(format!("it has format {}; 1 is understood", manifest.format)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Write it in one step. Packages of other environments that an earlier manifest of this lock file proved stay in.
    pub(crate) fn write(mut self, path: &Path) -> io::Result<()> {
        let mut packages: BTreeMap<(String, String, Option<String>), Package> = BTreeMap::new();
        let earlier = Self::read(path).ok().flatten().map(|manifest| manifest.packages).unwrap_or_default();
        for package in earlier.into_iter().chain(std::mem::take(&mut self.packages)) {
            let key = (package.name.clone(), package.version.clone(), package.sha256.clone());
            packages.insert(key, package);
        }
        self.packages = packages.into_values().collect();
        let mut text = serde_json::to_vec_pretty(&self)?;
        text.push(b'\n');
        crate::pass::replace(path, &text)
    }

    /// The package that was proved under this name, version and archive.
    pub(crate) fn package(&self, name: &str, version: &str, sha256: Option<&str>) -> Option<&Package> {
        let same = |p: &&Package| p.name == name && p.version == version && p.sha256.as_deref() == sha256;
        self.packages.iter().find(same)
    }
}

/// Now, unix seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
