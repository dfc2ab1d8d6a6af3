//! One package of an install.
use super::purl::Purl;
use bundle::{Member, MemberKind};
use lock::{Conda, Origin, Package, Pypi, redact};
use serde_json::{Value, json};

/// A package: what it is called, and the file that it came in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Component {
    name: String,
    pub(crate) version: Option<String>,
    /// Which is its name in the document, too.
    purl: String,
    sha256: Option<String>,
    /// Where it was fetched from, without credentials.
    url: Option<String>,
}

impl Component {
    /// A package of a lock file.
    pub(crate) fn of_package(package: &Package) -> Self {
        let (purl, location) = match package {
            Package::Conda(conda) => (of_conda(conda), Some(&conda.location)),
            Package::Pypi(pypi) => (of_pypi(pypi), location(&pypi.origin)),
        };
        let url = location.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        Self {
            name: package.name().to_owned(),
            version: package.version().map(str::to_owned),
            purl: purl.to_string(),
            sha256: package.sha256().map(str::to_owned),
            url: url.map(|url| redact(url)),
        }
    }

    /// A member of a bundle; `None` for one that is no package.
    pub(crate) fn of_member(member: &Member) -> Option<Self> {
        let (name, version, purl) = match MemberKind::of(&member.path) {
            MemberKind::Archive { subdir, file } => {
                let (name, version, build) = lock::archive_parts(file)?;
                let purl = Purl::new("conda", name, Some(version));
                (name, version, purl.with("build", build).with("subdir", subdir).with("type", kind(file)))
            }
            MemberKind::Wheel { file } => {
                let mut parts = file.split('-');
                let (name, version) = (parts.next()?, parts.next()?);
                (name, version, Purl::new("pypi", &distribution(name), Some(version)))
            }
            _ => return None,
        };
        let (name, version) = (name.to_owned(), Some(version.to_owned()));
        Some(Self { name, version, purl: purl.to_string(), sha256: Some(member.sha256.clone()), url: None })
    }

    /// Whether this is the distribution of that name.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.purl.starts_with("pkg:pypi/") && distribution(&self.name) == name
    }

    /// As CycloneDX has it.
    pub(crate) fn json(&self) -> Value {
        let mut made =
            json!({ "type": "library", "bom-ref": self.purl, "name": self.name, "purl": self.purl });
        if let Some(version) = &self.version {
            made["version"] = version.as_str().into();
        }
        if let Some(sha256) = &self.sha256 {
            made["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
        }
        if let Some(url) = &self.url {
            made["externalReferences"] = json!([{ "type": "distribution", "url": url }]);
        }
        made
    }
}

fn of_conda(conda: &Conda) -> Purl {
    let version = Some(conda.version.as_str()).filter(|version| !version.is_empty());
    let mut purl = Purl::new("conda", &conda.name, version);
    if conda.source {
        return purl;
    }
    purl = purl.with("build", &conda.build).with("type", kind(&conda.archive_name()));
    if let Some(subdir) = &conda.subdir {
        purl = purl.with("subdir", subdir);
        // The channel is what the subdir is a folder of.
        let mut folders = conda.location.rsplit('/').skip(1);
        if folders.next() == Some(subdir)
            && let Some(channel) = folders.next().filter(|channel| !channel.is_empty())
        {
            purl = purl.with("channel", channel);
        }
    }
    purl
}

/// The kind of a conda archive.
fn kind(file: &str) -> &'static str {
    if file.ends_with(".conda") { "conda" } else { "tar.bz2" }
}

fn of_pypi(pypi: &Pypi) -> Purl {
    let purl = Purl::new("pypi", &distribution(&pypi.name), pypi.version.as_deref());
    match &pypi.origin {
        Origin::Wheel { index: Some(index), .. } | Origin::Sdist { index: Some(index), .. }
            if !index.trim_end_matches('/').ends_with("://pypi.org/simple") =>
        {
            purl.with("repository_url", &redact(index))
        }
        Origin::DirectWheel { url } | Origin::DirectSdist { url } => purl.with("download_url", &redact(url)),
        Origin::Git { url } => purl.with("vcs_url", &redact(url)),
        _ => purl,
    }
}

fn location(origin: &Origin) -> Option<&String> {
    match origin {
        Origin::Wheel { url, .. }
        | Origin::DirectWheel { url }
        | Origin::Sdist { url, .. }
        | Origin::DirectSdist { url } => Some(url),
        Origin::Git { .. } | Origin::Path { .. } => None,
    }
}

/// The name of a Python distribution as package URLs have it.
fn distribution(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}
