//! One locked package, and what can be read off its location.
use std::borrow::Cow;
use std::path::PathBuf;

/// A package of one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// A conda package.
    Conda(Conda),
    /// A Python package.
    Pypi(Pypi),
}

impl Package {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Conda(conda) => &conda.name,
            Self::Pypi(pypi) => &pypi.name,
        }
    }

    /// Its version; folders have none in newer locks.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Conda(conda) => Some(conda.version.as_str()).filter(|version| !version.is_empty()),
            Self::Pypi(pypi) => pypi.version.as_deref(),
        }
    }

    /// sha256 of its file, hex.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::Conda(conda) => conda.sha256.as_deref(),
            Self::Pypi(pypi) => pypi.sha256.as_deref(),
        }
    }
}

/// A conda package. Source packages are built at install, so that nothing of them can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conda {
    /// URL, path, or `name[hash] @ path` for a source package.
    pub location: String,
    /// The name under which it is cached.
    pub name: String,
    /// Version.
    pub version: String,
    /// Build string.
    pub build: String,
    /// `linux-64`, `noarch`, …; `None` for an archive outside a channel.
    pub subdir: Option<String>,
    /// sha256 of the archive, hex.
    pub sha256: Option<String>,
    /// Size of the archive.
    pub size_bytes: Option<u64>,
    /// Build number.
    pub build_number: u64,
    /// When it was built: unix milliseconds, or seconds where a lock was written long ago.
    pub timestamp: Option<u64>,
    /// Built from source at install.
    pub source: bool,
}

/// Where a Python package comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A wheel of an index. Locks before version 7 do not say which; then it is looked up as PyPI's.
    Wheel {
        /// The file's URL.
        url: String,
        /// The index, where the lock says.
        index: Option<String>,
    },
    /// A wheel at a URL of its own (`direct+https://…`).
    DirectWheel {
        /// The file's URL, `direct+` removed.
        url: String,
    },
    /// A source distribution of an index: built at install, on this machine.
    Sdist {
        /// The file's URL.
        url: String,
        /// The index, where the lock says.
        index: Option<String>,
    },
    /// A source distribution at a URL of its own.
    DirectSdist {
        /// The file's URL, `direct+` removed.
        url: String,
    },
    /// A git checkout.
    Git {
        /// The URL with its commit.
        url: String,
    },
    /// A folder or file of the template.
    Path {
        /// As written: relative to the lock file, or absolute.
        path: PathBuf,
    },
}

/// A Python package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pypi {
    /// Name as in the lock.
    pub name: String,
    /// Version; folders have none in newer locks.
    pub version: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// sha256 of the file, hex.
    pub sha256: Option<String>,
    /// md5 of the file, hex; asked for where there is no sha256.
    pub md5: Option<String>,
}

impl Pypi {
    /// The wheel's file name, percent-decoded; `None` for what is not a wheel.
    #[must_use]
    pub fn wheel_name(&self) -> Option<String> {
        match &self.origin {
            Origin::Wheel { url, .. } | Origin::DirectWheel { url } => Some(percent_decode(file_name(url))),
            _ => None,
        }
    }
}

impl Conda {
    /// The folder below `pkgs` that the package is unpacked into: `{name}-{version}-{build}`.
    #[must_use]
    pub fn entry(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.build)
    }

    /// Whether a field that becomes part of a path is one itself.
    pub(crate) fn has_path_in_name(&self) -> bool {
        let Self { name, version, build, subdir, .. } = self;
        [name, version, build].into_iter().chain(subdir).any(|field| is_path(field))
    }

    /// The archive's file name, percent-decoded. Of a source package it means nothing.
    #[must_use]
    pub fn archive_name(&self) -> String {
        percent_decode(file_name(&self.location))
    }
}

/// Whether a text that should name one thing is a path.
pub(crate) fn is_path(text: &str) -> bool {
    text.contains(['/', '\0']) || [".", ".."].contains(&text)
}

/// The last segment of a URL or path, without query and fragment.
pub(crate) fn file_name(location: &str) -> &str {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    location[..end].rsplit('/').next().unwrap_or_default()
}

/// Name, version and build of `name-version-build.conda` or `.tar.bz2`.
#[must_use]
pub fn archive_parts(file: &str) -> Option<(&str, &str, &str)> {
    let stem = file.strip_suffix(".conda").or_else(|| file.strip_suffix(".tar.bz2"))?;
    let (rest, build) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name, version, build))
}

/// The systems that subdirs begin with, as rattler knows them.
const SYSTEMS: [&str; 10] =
    ["linux", "osx", "win", "freebsd", "emscripten", "wasi", "zos", "ios", "iossimulator", "android"];

/// The folder that an archive's URL names, where it is a subdir. A path says nothing of the kind, `file://` before it or not.
pub(crate) fn subdir(location: &str) -> Option<&str> {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let is_url = location.contains("://") && !location.starts_with("file://");
    let folder = location[..end].rsplit('/').nth(1).filter(|_| is_url)?;
    let system = |folder: &str| folder.split_once('-').is_some_and(|(system, _)| SYSTEMS.contains(&system));
    (folder == "noarch" || system(folder)).then_some(folder)
}

/// The number at the end of a build string, which is the build number unless the lock says otherwise.
pub(crate) fn trailing_number(build: &str) -> Option<u64> {
    let start = build.rfind(|letter: char| !letter.is_ascii_digit()).map_or(0, |at| at + 1);
    build.get(start..)?.parse().ok()
}

/// Decode `%2B` and the like; what is not UTF-8 afterwards stays as it was.
pub fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().map_or(text.to_owned(), Cow::into_owned)
}

/// Locations as rattler_lock writes them: `https://…`, `direct+https://…`, `git+…`, `file://…`, or a path.
pub(crate) fn origin(location: &str, index: Option<String>) -> Origin {
    let is_wheel = |url: &str| file_name(url).ends_with(".whl");
    if location.starts_with("git+") {
        return Origin::Git { url: location.to_owned() };
    }
    if let Some(url) = location.strip_prefix("direct+") {
        let url = url.to_owned();
        return if is_wheel(&url) { Origin::DirectWheel { url } } else { Origin::DirectSdist { url } };
    }
    if location.starts_with("http://") || location.starts_with("https://") {
        let url = location.to_owned();
        return if is_wheel(&url) { Origin::Wheel { url, index } } else { Origin::Sdist { url, index } };
    }
    Origin::Path { path: local(location).unwrap_or_else(|| location.to_owned()).into() }
}

/// The path of a `file://` URL.
pub(crate) fn local(location: &str) -> Option<String> {
    location.strip_prefix("file://").map(percent_decode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_hyphens_are_split_from_the_right() {
        let parts = archive_parts("cuda-version-12.8-h5d125a7_3.conda");
        assert_eq!(parts, Some(("cuda-version", "12.8", "h5d125a7_3")));
        assert_eq!(archive_parts("x.zip"), None);
        assert_eq!(archive_parts("a-1.conda"), None);
    }

    #[test]
    fn urls_give_their_file_and_subdir() {
        let url = "https://x.invalid/conda-forge/linux-64/zlib-1.3-h1.conda#md5";
        assert_eq!((file_name(url), subdir(url)), ("zlib-1.3-h1.conda", Some("linux-64")));
        assert_eq!(subdir("./own-packages/zlib-1.3-h1.conda"), None);
        assert_eq!(subdir("https://x.invalid/own-packages/zlib-1.3-h1.conda"), None);
    }

    #[test]
    fn build_numbers_stand_at_the_end_of_build_strings() {
        assert_eq!(
            ["h5d125a7_3", "12", "h1_cpython", "_", ""].map(trailing_number),
            [Some(3), Some(12), None, None, None]
        );
    }

    #[test]
    fn percent_signs_are_decoded_and_stray_ones_left() {
        assert_eq!(percent_decode("torch-2.9.1%2Bcu128-cp312.whl"), "torch-2.9.1+cu128-cp312.whl");
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(["a%zz", "a%+1", "%ff"].map(percent_decode), ["a%zz", "a%+1", "%ff"]);
    }
}
