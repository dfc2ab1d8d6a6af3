//! What is wrong with a package, and the record that says so.
use lock::{Origin, Package, redact};
use record::{Engine, Gap};
use std::path::PathBuf;

/// What is wrong with a package, in the words of the `gap` record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) path: Option<PathBuf>,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Self { reason, path: Some(path.into()), detail: detail.into() }
    }

    pub(crate) fn unprovable(detail: impl Into<String>) -> Self {
        Self { reason: "unprovable", path: None, detail: detail.into() }
    }

    /// Whether it stops the install.
    pub(crate) fn blocks(&self, strict: bool) -> bool {
        strict || self.reason != "unprovable"
    }

    /// The record, with all that the connected side needs to fetch the package; credentials are left out.
    pub(crate) fn of(self, engine: Engine, package: &Package, strict: bool) -> Gap {
        let blocks = self.blocks(strict);
        let (source, url, size_bytes) = match package {
            Package::Conda(conda) => ("conda", Some(conda.location.as_str()), conda.size_bytes),
            Package::Pypi(pypi) => ("pypi", url_of(&pypi.origin), None),
        };
        Gap {
            engine,
            package: package.name().to_owned(),
            version: package.version().map(str::to_owned),
            source: source.to_owned(),
            reason: self.reason.to_owned(),
            blocks,
            url: url.filter(|url| url.contains("://")).map(redact),
            sha256: package.sha256().map(str::to_owned),
            size_bytes,
            path: self.path,
            detail: Some(self.detail),
        }
    }

    /// The record of what concerns the environment or the cache and not one package.
    pub(crate) fn of_none(self, engine: Engine, (package, source): (&str, &str), strict: bool) -> Gap {
        Gap {
            engine,
            package: package.to_owned(),
            version: None,
            source: source.to_owned(),
            reason: self.reason.to_owned(),
            blocks: self.blocks(strict),
            url: None,
            sha256: None,
            size_bytes: None,
            path: self.path,
            detail: Some(self.detail),
        }
    }
}

fn url_of(origin: &Origin) -> Option<&str> {
    match origin {
        Origin::Wheel { url, .. }
        | Origin::DirectWheel { url }
        | Origin::Sdist { url, .. }
        | Origin::DirectSdist { url }
        | Origin::Git { url } => Some(url),
        Origin::Path { .. } => None,
    }
}
