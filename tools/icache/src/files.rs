//! What crosses the gap: which file a locked package is, where it is put on the way, and what the other side has already.
use crate::gap;
use lock::{Origin, Package, shown};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Each file has some 300 bytes of it.
const LIST_BYTES: usize = 256 << 20;

/// A package's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
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
    pub(crate) path: String,
}

/// A list of files, as it is written and read. Format 1.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    format: u32,
    files: Vec<File>,
}

impl File {
    /// The file of a package; `None` for what is not fetched as one: folders and files of the template, git checkouts, and
    /// what is built.
    pub(crate) fn of(package: &Package) -> Option<Self> {
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
        // A name that is a path would lead elsewhere.
        if !url.contains("://") || name.is_empty() || name.starts_with('.') || name.contains('/') {
            return None;
        }
        Some(Self {
            package: gap::name(package).to_owned(),
            version: gap::version(package).map(str::to_owned),
            url: shown(url),
            sha256: gap::sha256(package).map(str::to_owned),
            size_bytes,
            path: format!("{folder}/{name}"),
        })
    }

    /// What tells whether two are the same: the hash, or where there is none, the URL.
    fn key(&self) -> &str {
        self.sha256.as_deref().unwrap_or(&self.url)
    }
}

/// A list, as JSON.
pub(crate) fn list(files: Vec<File>) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(&List { format: 1, files })?;
    text.push(b'\n');
    Ok(text)
}

/// Those that the list at `path` does not have.
pub(crate) fn less(files: Vec<File>, path: &Path) -> io::Result<Vec<File>> {
    let list: List = serde_json::from_slice(&owner::read_named(path, LIST_BYTES)?)?;
    if list.format != 1 {
        return Err(io::Error::other(format!("it has format {}; 1 is understood", list.format)));
    }
    let known: HashSet<&str> = list.files.iter().map(File::key).collect();
    Ok(files.into_iter().filter(|file| !known.contains(file.key())).collect())
}

/// A configuration for `curl --config`: every file to its path, and none of which the server says that it is not there.
pub(crate) fn curl(files: &[File]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = "create-dirs\nfail\nlocation\nremote-time\n".to_owned();
    for file in files {
        text.push_str(&format!("url = \"{}\"\noutput = \"{}\"\n", quoted(&file.url), quoted(&file.path)));
    }
    text
}

/// Input for `aria2c --input-file`, with hashes.
pub(crate) fn aria2(files: &[File]) -> String {
    let one = |file: &File| {
        let hash =
            file.sha256.as_ref().map(|hash| format!("  checksum=sha-256={hash}\n")).unwrap_or_default();
        format!("{}\n  out={}\n{hash}", file.url, file.path)
    };
    files.iter().map(one).collect()
}
