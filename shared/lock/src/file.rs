//! The lock file: environments, platforms, packages.
use crate::document::{self, Document, Entry, Reference, Version};
use crate::error::{Error, VERSIONS};
use crate::index::{Index, Kind, locate};
use crate::limit::{cause, why_not_parsed};
use crate::package::{
    Conda, Package, Pypi, archive_parts, file_name, is_path, local, origin, subdir, trailing_number,
};
use crate::redact::redact;
use base16ct::lower::encode_string as hex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A lock file, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile {
    /// Version of the format.
    pub version: u32,
    /// sha256 of the file's bytes, hex.
    pub sha256: String,
    /// By name.
    pub environments: BTreeMap<String, Environment>,
}

/// One environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Python package indexes.
    pub indexes: Vec<String>,
    /// Whether wheels may come from find-links pages, which pixi reads before it installs anything.
    pub find_links: bool,
    /// Packages by platform. Version 7 may name several platforms of one subdir.
    pub platforms: BTreeMap<String, Platform>,
}

/// One environment on one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The conda subdir, `linux-64`.
    pub subdir: String,
    /// What is installed.
    pub packages: Vec<Package>,
}

impl LockFile {
    /// The environment of this name.
    ///
    /// # Errors
    /// In words: that there is none, and which there are.
    pub fn environment(&self, name: &str) -> Result<&Environment, String> {
        self.environments.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.environments.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none at all".to_owned()
            } else {
                format!("only {}", known.join(", "))
            };
            format!("it has no environment '{name}', {known}")
        })
    }

    /// Read a lock file's bytes.
    ///
    /// # Errors
    /// [`Error::Version`] before 4 and after 7, else [`Error::Malformed`] with what is wrong and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if let Some(cause) = why_not_parsed(bytes) {
            return Err(Error::Malformed(cause));
        }
        let malformed = |error: serde_norway::Error| Error::Malformed(cause(bytes, &error.to_string()));
        let version = match version_of(bytes) {
            Some(version) => version,
            None => serde_norway::from_slice::<Version>(bytes).map_err(malformed)?.version,
        };
        if !VERSIONS.contains(&version) {
            return Err(Error::Version(version));
        }
        let document: Document = serde_norway::from_slice(bytes).map_err(malformed)?;
        let subdirs =
            document.platforms.iter().map(|p| (p.name.as_str(), p.subdir.as_deref().unwrap_or(&p.name)));
        let subdirs: BTreeMap<&str, &str> = subdirs.collect();
        let index = Index::of(&document.packages)?;
        let mut environments = BTreeMap::new();
        for (name, environment) in &document.environments {
            environments.insert(name.clone(), resolve(version, environment, &subdirs, &index)?);
        }
        Ok(Self { version, sha256: hex(&Sha256::digest(bytes)), environments })
    }
}

/// The version as pixi writes it, on a line of its own at the margin. To parse the file for it would take as long as to read
/// all of it.
fn version_of(bytes: &[u8]) -> Option<u32> {
    let line = bytes.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"version:"))?;
    std::str::from_utf8(line).ok()?.trim().parse().ok()
}

fn resolve(
    version: u32,
    environment: &document::Environment,
    subdirs: &BTreeMap<&str, &str>,
    index: &Index<'_>,
) -> Result<Environment, Error> {
    let mut platforms = BTreeMap::new();
    for (name, references) in &environment.packages {
        let packages = references
            .iter()
            .map(|reference| package(version, reference, name, index))
            .collect::<Result<_, _>>()?;
        let subdir = match subdirs.get(name.as_str()) {
            Some(subdir) => (*subdir).to_owned(),
            None if version < 7 => name.clone(),
            None => {
                let cause =
                    format!("an environment has the platform '{name}', which is not among the platforms");
                return Err(Error::Malformed(cause));
            }
        };
        platforms.insert(name.clone(), Platform { subdir, packages });
    }
    let find_links = !environment.find_links.is_empty();
    Ok(Environment { indexes: environment.indexes.clone(), find_links, platforms })
}

fn package(version: u32, reference: &Reference, platform: &str, index: &Index<'_>) -> Result<Package, Error> {
    let Reference { conda, conda_source, pypi, .. } = reference;
    let Some((kind, location)) = locate(conda.as_ref(), conda_source.as_ref(), pypi.as_ref()) else {
        let cause = "an environment lists something that is neither 'conda' nor 'conda_source' nor 'pypi'";
        return Err(Error::Malformed(cause.to_owned()));
    };
    let lost = || {
        let location = redact(location);
        Error::Malformed(format!("an environment lists {location}, which is not among the packages"))
    };
    // Versions 4 and 5 may have an archive once for each platform.
    let rather = (version < 6).then_some(platform);
    let entry = index.find((kind, location), reference, rather).ok_or_else(lost)?;
    if kind == Kind::Pypi {
        return pypi_package(location, entry).map(Package::Pypi);
    }
    let package = conda_package(version, location, entry, kind == Kind::CondaSource);
    // rattler refuses both too.
    let wrong = match kind {
        Kind::Conda if version >= 7 && package.source => "is not an archive of a conda package",
        _ if !package.source && package.subdir.is_none() => "has no subdir",
        // rattler takes a path for a build or a subdir. Of these are paths made, which are not to lead elsewhere.
        _ if !package.source && package.has_path_in_name() => "has a path where a name should be",
        _ => return Ok(Package::Conda(package)),
    };
    Err(Error::Malformed(format!("{} {wrong}", redact(location))))
}

/// What the entry leaves out can be read off the archive's name and folder.
fn conda_package(version: u32, location: &str, entry: &Entry, from_source: bool) -> Conda {
    let parts = archive_parts(file_name(location));
    let source = from_source || parts.is_none();
    let (name, archive_version, build) = parts.unwrap_or_default();
    let or = |said: &Option<String>, derived: &str| said.clone().unwrap_or_else(|| derived.to_owned());
    // `name[hash] @ path`: only the name is known.
    let name = if source { location.split(['[', ' ']).next().unwrap_or_default() } else { name };
    // Before version 6 an empty build is one that is not known, and so is its number; beside one that is known, no number is 0.
    let said = entry.build.clone().filter(|build| version >= 6 || !build.is_empty());
    let numbered = version >= 6 || said.is_none();
    let build = said.unwrap_or_else(|| build.to_owned());
    let derived = trailing_number(&build).filter(|_| numbered);
    Conda {
        location: local(location).unwrap_or_else(|| location.to_owned()),
        // A name that is read off an archive's keeps its capitals, in the cache too.
        name: entry.name.as_ref().map_or_else(|| name.to_owned(), |name| name.to_lowercase()),
        version: or(&entry.version, archive_version),
        subdir: entry.subdir.clone().or_else(|| subdir(location).map(str::to_owned)),
        sha256: entry.sha256.as_deref().map(str::to_lowercase),
        size_bytes: entry.size,
        build_number: entry.build_number.or(derived).unwrap_or(0),
        timestamp: entry.timestamp.as_ref().and_then(serde_norway::Value::as_u64),
        build,
        source,
    }
}

fn pypi_package(location: &str, entry: &Entry) -> Result<Pypi, Error> {
    let name =
        entry.name.clone().ok_or_else(|| Error::Malformed(format!("{} has no name", redact(location))))?;
    let hash = |hash: &Option<String>| hash.as_deref().map(str::to_lowercase);
    if is_path(&name) || entry.version.as_deref().is_some_and(is_path) {
        return Err(Error::Malformed(format!("{} has a path where a name should be", redact(location))));
    }
    Ok(Pypi {
        name,
        version: entry.version.clone(),
        origin: origin(location, entry.index.clone()),
        sha256: hash(&entry.sha256),
        md5: hash(&entry.md5),
    })
}
