//! All files of a model, with the hashes that the hub's tools have left beside them.
use crate::part_name::siblings;
use owner::Dir;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// The manifest of a model folder; of a single file it is that file's name, a dot and this.
pub const MANIFEST: &str = "infer-dev-manifest.json";
/// The signature that publishers put beside a model.
pub const SIGNATURE: &str = "model.sig";

const DEPTH: u32 = 16;
const FILES: usize = 100_000;
const NO_TEXT: &str = "its name is no text";
const METADATA_BYTES: usize = 4096;

/// One file, links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
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

/// The files that are listed for one model.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The model's folder; of a single file the one that it is in.
    pub folder: PathBuf,
    /// The name of the manifest in the folder.
    pub manifest: String,
    /// The files by name.
    pub files: Vec<ModelFile>,
    /// What is no file that can be looked at: its name, and why.
    pub faults: Vec<(String, String)>,
}

/// Whether a file of a model folder is part of the model, by its name: what is in hidden folders, the manifest and the
/// signature are not.
#[must_use]
pub fn is_model_file(name: &str) -> bool {
    let hidden = || name.split('/').rev().skip(1).any(|folder| folder.starts_with('.'));
    name != MANIFEST && name != SIGNATURE && !hidden()
}

/// All files of a model folder, with hidden folders or without, or a file and its parts.
///
/// # Errors
/// What the system says of the folder itself.
pub fn list(path: &Path, hidden: bool) -> io::Result<Listing> {
    let mut listing = Listing::default();
    if owner::is_dir(path) {
        (listing.folder, listing.manifest) = (path.to_owned(), MANIFEST.to_owned());
        listing.descend("", hidden, DEPTH)?;
        listing.files.sort_by(|one, other| one.name.cmp(&other.name));
        return Ok(listing);
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NO_TEXT))?;
    listing.folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    listing.manifest = format!("{name}.{MANIFEST}");
    siblings(name).iter().for_each(|name| listing.add(name));
    Ok(listing)
}

impl Listing {
    fn add(&mut self, name: &str) {
        match listed(&self.folder, name) {
            Ok(file) => self.files.push(file),
            Err(error) => self.fault(name, failure::io_text(&error)),
        }
    }

    fn fault(&mut self, name: &str, why: String) {
        self.faults.push((name.to_owned(), why));
    }

    fn descend(&mut self, below: &str, hidden: bool, depth: u32) -> io::Result<()> {
        for name in Dir::open(&self.folder.join(below))?.names()? {
            let shown = name.to_string_lossy();
            // What a killed run has left of a manifest may be gone in a moment.
            if below.is_empty() && owner::is_draft_of(MANIFEST, &name) {
                continue;
            }
            let path = if below.is_empty() { shown.into_owned() } else { format!("{below}/{shown}") };
            if self.files.len() + self.faults.len() >= FILES {
                return Err(io::Error::other(format!("it has more than {FILES} files")));
            }
            let folder = owner::symlink_metadata(self.folder.join(below).join(&name))?.is_dir();
            if folder && !hidden && path.rsplit('/').next().is_some_and(|name| name.starts_with('.')) {
                continue;
            }
            if name.to_str().is_none() {
                self.fault(&path, NO_TEXT.to_owned());
            } else if !folder {
                self.add(&path);
            } else if depth == 0 {
                self.fault(&path, "it is too deep in the model's folder".to_owned());
            } else if let Err(error) = self.descend(&path, hidden, depth - 1) {
                self.fault(&path, failure::io_text(&error));
            }
        }
        Ok(())
    }
}

fn listed(root: &Path, name: &str) -> io::Result<ModelFile> {
    let path = root.join(name);
    let found = owner::metadata(&path)?;
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let time = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let mtime_ns = time(found.mtime(), found.mtime_nsec());
    Ok(ModelFile {
        name: name.to_owned(),
        size: found.len(),
        mtime_ns,
        ctime_ns: time(found.ctime(), found.ctime_nsec()),
        inode: found.ino(),
        hub_sha256: sha256_of_hub_blob(&path).or_else(|| sha256_of_download_note(root, name, mtime_ns)),
    })
}

/// In the hub's cache a large file is a link to one that is named by its hash.
fn sha256_of_hub_blob(path: &Path) -> Option<String> {
    let target = owner::read_link(path).ok()?;
    let in_blobs = target.parent()?.file_name()? == "blobs";
    hash(target.file_name()?.to_str()?).filter(|_| in_blobs)
}

/// Beside files that were fetched to a folder there is a note: commit, ETag, time. The ETag of a large file is its hash, and
/// holds as long as the file was not changed after that time.
fn sha256_of_download_note(root: &Path, name: &str, mtime_ns: i128) -> Option<String> {
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
