//! `infer-dev-manifest-<lock hash>.json` in the cache's root: what a cache that was proved whole looked like.
//!
//! A lock file has no hash of an unpacked package, only of the archive it came from; the manifest has.
use super::clock::now;
use super::source::{self, Content};
use super::tree::Tree;
use crate::cache_entry::CacheEntry;
use crate::locked::Locked;
use crate::place::{place, replace};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Each package has some 300 bytes of it.
const BYTES: usize = 256 << 20;

/// Format 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    lock_sha256: String,
    /// The pixi that filled the cache; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pixi_version: Option<String>,
    created_unix: u64,
    /// Of the last pass that was recorded.
    platform: String,
    /// Of the last pass that was recorded.
    environment: String,
    packages: Vec<Package>,
}

/// One package of the manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Package {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    version: Option<String>,
    /// Of the archive, as in the lock file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sha256: Option<String>,
    /// The archive's name.
    #[serde(default)]
    file: String,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Over the unpacked tree.
    pub(super) tree_sha256: String,
    /// The files that may be run; absent where that was not looked at when it was recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) executables: Option<Vec<String>>,
    /// Of a source distribution the files that stay as they are; the tree does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) contents: Option<Vec<Content>>,
}

impl Package {
    /// What a hashed tree looks like in a manifest.
    pub(super) fn of(package: &lock::Package, found: &CacheEntry, tree: &Tree) -> Self {
        let (files, bytes) = tree.extent();
        let (name, version, sha256, file) = identity(package, found);
        let contents = matches!(found, CacheEntry::Source { .. }).then(|| source::contents(tree));
        let (version, sha256) = (version.map(str::to_owned), sha256.map(str::to_owned));
        let (tree_sha256, executables) = (tree.sha256(), Some(tree.executables()));
        let name = name.to_owned();
        Self { name, version, sha256, file, files, bytes, tree_sha256, executables, contents }
    }

    fn identity(&self) -> (&str, Option<&str>, Option<&str>, String) {
        (&self.name, self.version.as_deref(), self.sha256.as_deref(), self.file.clone())
    }
}

impl Manifest {
    /// Where the manifest for a lock file is. One per lock, so that caches may be shared.
    pub(crate) fn path(cache_root: &Path, lock_sha256: &str) -> PathBuf {
        cache_root.join(format!("infer-dev-manifest-{lock_sha256}.json"))
    }

    /// A manifest of these packages, made now.
    pub(crate) fn new(locked: &Locked, pixi_version: Option<String>, packages: Vec<Package>) -> Self {
        Self {
            format: 1,
            lock_sha256: locked.sha256.clone(),
            pixi_version,
            created_unix: now().as_secs(),
            platform: locked.platforms.join(","),
            environment: locked.environment.clone(),
            packages,
        }
    }

    /// The manifest for this lock file, if there is one.
    pub(crate) fn read(path: &Path, lock_sha256: &str) -> io::Result<Option<Self>> {
        let bytes = match owner::read_file(path, BYTES) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let manifest: Self = serde_json::from_slice(&bytes)?;
        if manifest.format != 1 {
            return Err(io::Error::other(format!("it has format {}; 1 is understood", manifest.format)));
        }
        if manifest.lock_sha256 != lock_sha256 {
            return Err(io::Error::other(format!("it is for the lock file {}", manifest.lock_sha256)));
        }
        Ok(Some(manifest))
    }

    /// Write it in one step. Packages of other environments and platforms that an earlier manifest of this lock file has
    /// stay in; an earlier one that cannot be read is replaced.
    pub(crate) fn write(mut self, path: &Path) -> io::Result<()> {
        let mut packages = BTreeMap::new();
        let (folder, _) = place(path)?;
        let earlier = folder.act(|| Self::read(path, &self.lock_sha256))?.ok().flatten();
        let earlier = earlier.map(|manifest| manifest.packages).unwrap_or_default();
        for package in earlier.into_iter().chain(std::mem::take(&mut self.packages)) {
            let (name, version, sha256, file) = package.identity();
            let key = (name.to_owned(), version.map(str::to_owned), sha256.map(str::to_owned), file);
            packages.insert(key, package);
        }
        self.packages = packages.into_values().collect();
        let mut text = serde_json::to_vec_pretty(&self)?;
        text.push(b'\n');
        replace(path, &text)
    }

    /// What was recorded of a package.
    pub(super) fn package(&self, package: &lock::Package, found: &CacheEntry) -> Option<&Package> {
        let wanted = identity(package, found);
        self.packages.iter().find(|recorded| recorded.name == wanted.0 && recorded.identity() == wanted)
    }

    /// Whether it was written before it was known which files may be run.
    pub(crate) fn knows_no_modes(&self) -> bool {
        self.packages.iter().any(|package| package.executables.is_none())
    }

    /// How many of the packages were never recorded.
    pub(crate) fn lacks<'a>(
        &self,
        found: impl Iterator<Item = (&'a lock::Package, &'a CacheEntry)>,
    ) -> usize {
        found.filter(|(package, found)| self.package(package, found).is_none()).count()
    }
}

/// What distinguishes a package from all others of its lock file: name, version, archive hash and archive name. The last
/// distinguishes builds of one wheel for several machines where the lock has no hash; for what was built here it is its place.
fn identity<'a>(
    package: &'a lock::Package,
    found: &CacheEntry,
) -> (&'a str, Option<&'a str>, Option<&'a str>, String) {
    let file = match (package, found) {
        (_, CacheEntry::Built { link, .. }) => {
            // The fingerprint of an environment, and the wheel.
            let parts: Vec<_> = link.iter().rev().take(2).map(std::ffi::OsStr::to_string_lossy).collect();
            format!("built/{}", parts.into_iter().rev().collect::<Vec<_>>().join("/"))
        }
        (lock::Package::Conda(conda), _) => {
            format!("{}/{}", conda.subdir.as_deref().unwrap_or_default(), conda.entry())
        }
        (lock::Package::Pypi(pypi), _) => pypi.wheel_name().unwrap_or_default(),
    };
    (package.name(), package.version(), package.sha256(), file)
}
