//! What crosses the gap: which file a locked package is, where it is put on the way, and what the other side has already.
use failure::{Code, Failure};
use lock::{Origin, Package, redact};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Each file has some 300 bytes of it.
const LIST_BYTES: usize = 256 << 20;

/// The file of a locked package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFile {
    package: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    version: Option<String>,
    /// Where it is fetched from, credentials left out.
    url: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    size_bytes: Option<u64>,
    /// Its path below the folder that it is fetched into: `SUBDIR/NAME` or `pypi/NAME`, as in pixi-pack's cache.
    pub path: String,
}

/// A list of files, as it is written and read. Format 1.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    format: u32,
    files: Vec<PackageFile>,
}

impl PackageFile {
    /// That of a package; `None` for what is not fetched as one: folders and files of the template, git checkouts, and
    /// what is built.
    #[must_use]
    pub fn of(package: &Package) -> Option<Self> {
        let (url, folder, size_bytes) = match package {
            Package::Conda(conda) if conda.source => return None,
            Package::Conda(conda) => {
                (&conda.location, conda.subdir.as_deref().unwrap_or("noarch"), conda.size_bytes)
            }
            Package::Pypi(pypi) => match &pypi.origin {
                Origin::Wheel { url, .. }
                | Origin::DirectWheel { url }
                | Origin::Sdist { url, .. }
                | Origin::DirectSdist { url } => (url, "pypi", None),
                Origin::Git { .. } | Origin::Path { .. } => return None,
            },
        };
        let end = url.find(['?', '#']).unwrap_or(url.len());
        let name = lock::percent_decode(url[..end].rsplit('/').next()?);
        // A name that is a path would lead elsewhere, and a line's end would begin another option of curl's.
        if url.contains(char::is_control)
            || name.contains(char::is_control)
            || !url.contains("://")
            || name.is_empty()
            || name.starts_with('.')
            || name.contains('/')
        {
            return None;
        }
        Some(Self {
            package: package.name().to_owned(),
            version: package.version().map(str::to_owned),
            url: redact(url),
            sha256: package.sha256().map(str::to_owned),
            size_bytes,
            path: format!("{folder}/{name}"),
        })
    }

    /// Two files with the same key are the same: the hash, or where there is none, the URL.
    fn key(&self) -> &str {
        self.sha256.as_deref().unwrap_or(&self.url)
    }
}

/// A list, as JSON.
///
/// # Errors
/// It has no form as JSON, which does not happen.
pub fn list(files: Vec<PackageFile>) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(&List { format: 1, files })?;
    text.push(b'\n');
    Ok(text)
}

/// What a machine has already.
#[derive(Clone, Debug)]
pub struct Inventory {
    known: HashSet<String>,
}

impl Inventory {
    /// The list at `path`, which `icache --have` wrote.
    ///
    /// # Errors
    /// It cannot be read (69), or is none (65).
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let list =
            owner::read_named(path, LIST_BYTES).and_then(|bytes| Ok(serde_json::from_slice::<List>(&bytes)?));
        let list = list.and_then(|list| match list.format {
            1 => Ok(list),
            other => Err(io::Error::other(format!("it has format {other}; 1 is understood"))),
        });
        let list = list.map_err(|error| {
            let code = if error.raw_os_error().is_some() { Code::Unmet } else { Code::Input };
            Failure::io(code, format!("cannot use the list {}", path.display()), &error)
                .hint("write it on the other side, with icache --have")
        })?;
        Ok(Self { known: list.files.iter().map(|file| file.key().to_owned()).collect() })
    }

    /// Whether it has this file: by hash, or by URL where there is none.
    #[must_use]
    pub fn has(&self, file: &PackageFile) -> bool {
        self.known.contains(file.key())
    }
}

/// A configuration for `curl --config`: every file to its path, and none of which the server says that it is not there.
#[must_use]
pub fn curl(files: &[PackageFile]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = "create-dirs\nfail\nlocation\nremote-time\n".to_owned();
    for file in files {
        text.push_str(&format!("url = \"{}\"\noutput = \"{}\"\n", quoted(&file.url), quoted(&file.path)));
    }
    text
}

/// Input for `aria2c --input-file`, with hashes.
#[must_use]
pub fn aria2(files: &[PackageFile]) -> String {
    let one = |file: &PackageFile| {
        let hash =
            file.sha256.as_ref().map(|hash| format!("  checksum=sha-256={hash}\n")).unwrap_or_default();
        format!("{}\n  out={}\n{hash}", file.url, file.path)
    };
    files.iter().map(one).collect()
}
