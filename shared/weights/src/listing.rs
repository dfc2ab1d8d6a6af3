//! All files of a model, with the hashes that the hub's tools have left beside them.
use crate::set::siblings;
use owner::Dir;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// The manifest of a model folder; of a single file it is that file's name, a dot and this.
pub const MANIFEST: &str = "infer-dev-manifest.json";
/// The signature that publishers put beside a model.
pub const SIGNATURE: &str = "model.sig";

const DEPTH: u32 = 8;
const FILES: usize = 100_000;
const METADATA_BYTES: usize = 4096;

/// One file, links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// From the model's folder on, with slashes.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was changed, in nanoseconds of unix time.
    pub mtime_ns: i128,
    /// When anything about it was changed, the same.
    pub ctime_ns: i128,
    /// Its number in the file system.
    pub inode: u64,
    /// Lower-case hex, as the hub's tools noted it when they fetched the file.
    pub hub_sha256: Option<String>,
}

/// A model's folder, the name of its manifest in it, and its files by name. Hidden folders, the manifest, what a
/// killed run has left of one, and the signature are no part of the model.
///
/// # Errors
/// What the system says.
pub fn list(path: &Path) -> io::Result<(PathBuf, String, Vec<Listed>)> {
    if owner::is_dir(path) {
        let mut files = Vec::new();
        descend(path, "", DEPTH, &mut files)?;
        files.retain(|file| file.name != MANIFEST && file.name != SIGNATURE);
        files.sort_by(|one, other| one.name.cmp(&other.name));
        return Ok((path.to_owned(), MANIFEST.to_owned(), files));
    }
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(no_text)?;
    let files: io::Result<Vec<Listed>> = siblings(name).iter().map(|name| listed(&folder, name)).collect();
    Ok((folder, format!("{name}.{MANIFEST}"), files?))
}

fn no_text() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its name is no text")
}

fn descend(root: &Path, below: &str, depth: u32, files: &mut Vec<Listed>) -> io::Result<()> {
    for name in Dir::open(&root.join(below))?.names()? {
        let name = name.into_string().map_err(|_| no_text())?;
        // It may be gone in a moment.
        if below.is_empty() && owner::is_draft_of(MANIFEST, &name) {
            continue;
        }
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let entry = owner::symlink_metadata(root.join(&path))?;
        if entry.is_dir() {
            if depth > 0 && !name.starts_with('.') {
                descend(root, &path, depth - 1, files)?;
            }
            continue;
        }
        if files.len() >= FILES {
            return Err(io::Error::other(format!("it has more than {FILES} files")));
        }
        files.push(listed(root, &path)?);
    }
    Ok(())
}

fn listed(root: &Path, name: &str) -> io::Result<Listed> {
    let path = root.join(name);
    let found = owner::metadata(&path).map_err(|error| about(name, &error))?;
    if !found.is_file() {
        return Err(io::Error::other(format!("{name} is no file")));
    }
    let time = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let mtime_ns = time(found.mtime(), found.mtime_nsec());
    Ok(Listed {
        name: name.to_owned(),
        size: found.len(),
        mtime_ns,
        ctime_ns: time(found.ctime(), found.ctime_nsec()),
        inode: found.ino(),
        hub_sha256: of_blob(&path).or_else(|| of_download(root, name, mtime_ns)),
    })
}

fn about(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {}", tool::io_text(error)))
}

/// In the hub's cache a large file is a link to one that is named by its hash.
fn of_blob(path: &Path) -> Option<String> {
    let target = owner::read_link(path).ok()?;
    let in_blobs = target.parent()?.file_name()? == "blobs";
    hash(target.file_name()?.to_str()?).filter(|_| in_blobs)
}

/// Beside files that were fetched to a folder there is a note: commit, ETag, time. The ETag of a large file is its hash, and
/// holds as long as the file was not changed after that time.
fn of_download(root: &Path, name: &str, mtime_ns: i128) -> Option<String> {
    let note = root.join(".cache/huggingface/download").join(format!("{name}.metadata"));
    let text = String::from_utf8(owner::read_file(&note, METADATA_BYTES).ok()?).ok()?;
    let mut lines = text.lines().skip(1);
    let (etag, time) = (lines.next()?.trim(), lines.next()?.trim().parse::<f64>().ok()?);
    let noted = UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(time + 1.0).ok()?)?;
    let noted = i128::try_from(noted.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()?;
    hash(etag).filter(|_| mtime_ns <= noted)
}

fn hash(text: &str) -> Option<String> {
    let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}
