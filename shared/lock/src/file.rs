//! The lock file: environments, platforms, packages.
use crate::document::{self, Document, Entry, Reference, Version};
use crate::package::{Conda, Origin, Package, Pypi, archive_parts, file_name, subdir};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The oldest and the newest version that is understood. pixi 0.77 writes 7 and reads from 1.
const VERSIONS: std::ops::RangeInclusive<u32> = 4..=7;

/// Why a lock file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not YAML, or not of the shape that its version has.
    Malformed(String),
    /// A version that is not understood.
    Version(u32),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(cause) => f.write_str(cause),
            Self::Version(version) => {
                let (oldest, newest) = (VERSIONS.start(), VERSIONS.end());
                write!(f, "it has version {version}; versions {oldest} to {newest} are understood")
            }
        }
    }
}

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
    /// Read a lock file's bytes.
    ///
    /// # Errors
    /// [`Error::Version`] before 4 and after 7, else [`Error::Malformed`] with what is wrong and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |error: serde_norway::Error| Error::Malformed(error.to_string());
        let Version { version } = serde_norway::from_slice(bytes).map_err(malformed)?;
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
            environments.insert(name.clone(), resolve(environment, &subdirs, &index)?);
        }
        Ok(Self { version, sha256: hex(&Sha256::digest(bytes)), environments })
    }
}

/// Every package of the file by location; one location may stand for several (version 6).
struct Index<'a>(BTreeMap<&'a str, Vec<&'a Entry>>);

impl<'a> Index<'a> {
    fn of(entries: &'a [Entry]) -> Result<Self, Error> {
        let mut index: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for (number, entry) in entries.iter().enumerate() {
            let location = entry.location().ok_or_else(|| {
                Error::Malformed(format!("package {} of the list has no location", number + 1))
            })?;
            index.entry(location).or_default().push(entry);
        }
        Ok(Self(index))
    }

    /// The entry that a reference means: of several, the one that agrees in all that the reference says.
    fn find(&self, location: &str, reference: &Reference) -> Option<&'a Entry> {
        let agrees =
            |said: &Option<String>, has: &Option<String>| said.is_none() || has.is_none() || said == has;
        self.0.get(location)?.iter().copied().find(|entry| {
            agrees(&reference.name, &entry.name)
                && agrees(&reference.version, &entry.version)
                && agrees(&reference.build, &entry.build)
                && agrees(&reference.subdir, &entry.subdir)
        })
    }
}

impl Entry {
    fn location(&self) -> Option<&str> {
        let newer = self.conda.as_ref().or(self.conda_source.as_ref()).or(self.pypi.as_ref());
        newer.or(self.url.as_ref()).or(self.path.as_ref()).map(String::as_str)
    }
}

fn resolve(
    environment: &document::Environment,
    subdirs: &BTreeMap<&str, &str>,
    index: &Index<'_>,
) -> Result<Environment, Error> {
    let mut platforms = BTreeMap::new();
    for (name, references) in &environment.packages {
        let packages =
            references.iter().map(|reference| package(reference, index)).collect::<Result<_, _>>()?;
        let subdir = subdirs.get(name.as_str()).copied().unwrap_or(name).to_owned();
        platforms.insert(name.clone(), Platform { subdir, packages });
    }
    let find_links = !environment.find_links.is_empty();
    Ok(Environment { indexes: environment.indexes.clone(), find_links, platforms })
}

fn package(reference: &Reference, index: &Index<'_>) -> Result<Package, Error> {
    let Reference { conda, conda_source, pypi, .. } = reference;
    let Some(location) = conda.as_ref().or(conda_source.as_ref()).or(pypi.as_ref()) else {
        let cause = "an environment lists something that is neither 'conda' nor 'conda_source' nor 'pypi'";
        return Err(Error::Malformed(cause.to_owned()));
    };
    let lost =
        || Error::Malformed(format!("an environment lists {location}, which is not among the packages"));
    let entry = index.find(location, reference).ok_or_else(lost)?;
    if pypi.is_some() {
        return pypi_package(location, entry).map(Package::Pypi);
    }
    conda_package(location, entry, conda_source.is_some()).map(Package::Conda)
}

/// What the entry leaves out can be read off the archive's name and folder.
fn conda_package(location: &str, entry: &Entry, from_source: bool) -> Result<Conda, Error> {
    let parts = archive_parts(file_name(location));
    let source = from_source || parts.is_none();
    let (name, version, build) = parts.unwrap_or_default();
    let or = |said: &Option<String>, derived: &str| said.clone().unwrap_or_else(|| derived.to_owned());
    // `name[hash] @ path`: only the name can be told.
    let name = if source { location.split(['[', ' ']).next().unwrap_or_default() } else { name };
    Ok(Conda {
        location: location.to_owned(),
        name: or(&entry.name, name).to_lowercase(),
        version: or(&entry.version, version),
        build: or(&entry.build, build),
        subdir: or(&entry.subdir, subdir(location).unwrap_or_default()),
        sha256: entry.sha256.clone(),
        size_bytes: entry.size,
        build_number: entry.build_number,
        timestamp_ms: entry.timestamp,
        source,
    })
}

fn pypi_package(location: &str, entry: &Entry) -> Result<Pypi, Error> {
    let name = entry.name.clone().ok_or_else(|| Error::Malformed(format!("{location} has no name")))?;
    let version = entry.version.clone().unwrap_or_default();
    Ok(Pypi { name, version, origin: origin(location, entry.index.clone()), sha256: entry.sha256.clone() })
}

/// Locations as rattler_lock writes them: `https://…`, `direct+https://…`, `git+…`, `file://…`, or a path.
fn origin(location: &str, index: Option<String>) -> Origin {
    let is_wheel = |url: &str| file_name(url).ends_with(".whl");
    if location.starts_with("git+") {
        return Origin::Git { url: location.to_owned() };
    }
    if let Some(url) = location.strip_prefix("direct+") {
        let url = url.to_owned();
        return if is_wheel(&url) { Origin::DirectWheel { url } } else { Origin::Sdist { url } };
    }
    if location.starts_with("http://") || location.starts_with("https://") {
        let url = location.to_owned();
        return if is_wheel(&url) { Origin::Wheel { url, index } } else { Origin::Sdist { url } };
    }
    Origin::Path { path: location.strip_prefix("file://").unwrap_or(location).into() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
