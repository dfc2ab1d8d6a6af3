//! rattler's package cache: `pkgs/<name>-<version>-<build>/` beside `pkgs/<name>-<version>-<build>.lock`.
use lock::Conda;
use owner::read_file;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// The file beside a package has 40 bytes, `info/index.json` a few thousand, and of the largest packages
/// `info/paths.json` some tens of millions.
const SIDECAR_BYTES: usize = 4 << 10;
const INDEX_BYTES: usize = 16 << 20;
const PATHS_BYTES: usize = 128 << 20;

/// A conda package's place in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The unpacked package.
    pub folder: PathBuf,
    /// The file beside it, which is no lock but says what archive the folder came from.
    pub sidecar: PathBuf,
}

/// The fields of `info/index.json` that distinguish packages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PackageIndex {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Build string.
    pub build: String,
    /// Build number.
    pub build_number: u64,
    /// `linux-64`, `noarch`, …; old packages have none.
    pub subdir: Option<String>,
    /// When it was built, unix milliseconds (seconds in old packages).
    pub timestamp: Option<i64>,
}

/// What an entry of `info/paths.json` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathType {
    /// A file.
    HardLink,
    /// A symbolic link, which may dangle.
    SoftLink,
    /// A folder.
    Directory,
}

/// One line of `info/paths.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedPath<'a> {
    /// Relative to the package's folder.
    #[serde(rename = "_path", borrow)]
    pub path: Cow<'a, str>,
    /// What it is.
    pub path_type: PathType,
    /// Of the file as it lies in the cache, placeholders still in it.
    #[serde(default, deserialize_with = "crate::hash::deserialize")]
    pub sha256: Option<[u8; 32]>,
    /// Likewise.
    pub size_in_bytes: Option<u64>,
}

/// The text of `info/paths.json`. What it lists is not copied out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathsJson(String);

impl PathsJson {
    /// What it lists.
    ///
    /// # Errors
    /// That it cannot be parsed.
    pub fn paths(&self) -> io::Result<Vec<ListedPath<'_>>> {
        #[derive(Deserialize)]
        struct Paths<'a> {
            #[serde(borrow)]
            paths: Vec<ListedPath<'a>>,
            // rattler does not read the file without.
            #[serde(rename = "paths_version")]
            _version: u64,
        }
        Ok(serde_json::from_str::<Paths<'_>>(&self.0)?.paths)
    }
}

impl Entry {
    /// Where `package` is, or would be, below `pkgs`. Channel, subdir and archive type are not part of it.
    #[must_use]
    pub fn of(pkgs: &Path, package: &Conda) -> Self {
        let name = package.entry();
        Self { folder: pkgs.join(&name), sidecar: pkgs.join(format!("{name}.lock")) }
    }

    /// The sha256 (hex) of the archive that the folder came from: a big-endian revision of 8 bytes, then 32 bytes of
    /// hash. `None` where the file is missing or records no hash.
    ///
    /// # Errors
    /// What the system says, or that the file has neither 0 nor 8 nor 40 bytes.
    pub fn recorded_sha256(&self) -> io::Result<Option<String>> {
        let bytes = match read_file(&self.sidecar, SIDECAR_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match bytes.len() {
            0 | 8 => Ok(None),
            40 => Ok(Some(base16ct::lower::encode_string(&bytes[8..]))),
            length => Err(io::Error::other(format!("it has {length} bytes instead of 40"))),
        }
    }

    /// The bytes of the file beside the folder for an archive of this sha256, as one that was fetched once.
    #[must_use]
    pub fn sidecar_of(sha256: [u8; 32]) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[7] = 1;
        bytes[8..].copy_from_slice(&sha256);
        bytes
    }

    /// `info/index.json`.
    ///
    /// # Errors
    /// What the system says, or that rattler could not parse it.
    pub fn package_index(&self) -> io::Result<PackageIndex> {
        let value: Value =
            serde_json::from_slice(&read_file(&self.folder.join("info/index.json"), INDEX_BYTES)?)?;
        if let Some(name) = first_mistyped_field(&value) {
            return Err(io::Error::other(format!("its {name} is of another type than it has to be")));
        }
        Ok(serde_json::from_value(value)?)
    }

    /// `info/paths.json`; `None` where only the deprecated `info/files` is there, which has no hashes.
    ///
    /// # Errors
    /// What the system says.
    pub fn paths_json(&self) -> io::Result<Option<PathsJson>> {
        let text = read_file(&self.folder.join("info/paths.json"), PATHS_BYTES)
            .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
        match text {
            Ok(text) => Ok(Some(PathsJson(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                owner::metadata(self.folder.join("info/files")).map_err(|_| error).map(|_| None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The first field, of those that nobody but rattler looks at, for which rattler does not read `info/index.json`.
fn first_mistyped_field(about: &Value) -> Option<&'static str> {
    const TEXTS: [&str; 6] =
        ["arch", "features", "license", "license_family", "platform", "python_site_packages_path"];
    const LISTS: [&str; 2] = ["constrains", "depends"];
    let is_list = |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
    // Old packages have the empty text where newer ones have nothing.
    let known =
        |value: &Value| value.is_boolean() || ["", "generic", "python"].iter().any(|kind| value == kind);
    let wrong =
        |name: &str, right: &dyn Fn(&Value) -> bool| about.get(name).is_some_and(|value| !right(value));
    let text = TEXTS.into_iter().find(|name| wrong(name, &|value| value.is_null() || value.is_string()));
    text.or_else(|| LISTS.into_iter().find(|name| wrong(name, &is_list)))
        .or_else(|| wrong("noarch", &|value| value.is_null() || known(value)).then_some("noarch"))
        .or_else(|| wrong("purls", &|value| value.is_null() || is_list(value)).then_some("purls"))
        .or_else(|| wrong("track_features", &|it| it.is_string() || is_list(it)).then_some("track_features"))
}
