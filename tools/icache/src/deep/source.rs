//! A source distribution's folder: nothing lists what was unpacked, and what is built there comes and goes. The wheels in it
//! prove themselves, by their checksums and their RECORD; the rest the manifest knows.
use super::listing::differences;
use super::record::record_lines;
use super::tree::{Item, Kind, Stat, Tree};
use crate::gap::Fault;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// What one read of a wheel asks for.
const BUFFER_BYTES: usize = 256 << 10;

/// `RECORD` has some 100 bytes for each file.
const RECORD_BYTES: u64 = 128 << 20;

/// A file as the manifest knows it, and its hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Content {
    path: String,
    sha256: String,
}

/// The files that a build does not write: the source and the wheels.
pub(super) fn contents(tree: &Tree) -> Vec<Content> {
    let content = |item: &Item| {
        let Kind::File { sha256: Some(hash), .. } = &item.kind else { return None };
        let path = item.path.to_str().filter(|_| is_checked_as_file(&item.path))?;
        Some(Content { path: path.to_owned(), sha256: base16ct::lower::encode_string(hash) })
    };
    tree.items.iter().filter_map(content).collect()
}

fn is_wheel(path: &Path) -> bool {
    path.extension() == Some("whl".as_ref()) && !path.starts_with("src")
}

/// Whether a later build leaves a file as it is.
fn is_checked_as_file(path: &Path) -> bool {
    let made = |part: &std::ffi::OsStr| {
        part == "build" || part == "__pycache__" || part.to_string_lossy().ends_with(".egg-info")
    };
    is_wheel(path) || path.starts_with("src") && !path.iter().any(made)
}

/// Compare the folder with what was recorded. What came since is built by pixi, and a wheel that went is built again.
pub(super) fn is_as_recorded(tree: &Tree, recorded: &[Content]) -> Result<(), Fault> {
    let changed = |content: &&Content| {
        let path = Path::new(&content.path);
        match tree.items.iter().find(|item| item.path == path).map(|item| &item.kind) {
            Some(Kind::File { sha256: Some(hash), .. }) => {
                base16ct::lower::encode_string(hash) != content.sha256
            }
            None => !is_wheel(path),
            Some(_) => true,
        }
    };
    let mut changed = recorded.iter().filter(changed);
    let Some(first) = changed.next() else { return Ok(()) };
    let more = match changed.count() {
        0 => String::new(),
        others => format!(", and {others} more files"),
    };
    let detail = format!("it is not what the manifest recorded{more}");
    Err(Fault::new("damaged", tree.root.join(&first.path), detail))
}

/// Prove the wheels that were built there.
pub(super) fn compare(tree: &Tree) -> Result<(), Fault> {
    for item in &tree.items {
        let closed = matches!(item.kind, Kind::File { mode, .. } if mode & 0o400 == 0);
        if closed && is_checked_as_file(&item.path) {
            return Err(Fault::new("damaged", tree.root.join(&item.path), "its owner may not read it"));
        }
        if is_wheel(&item.path) && matches!(item.kind, Kind::File { .. }) {
            check_wheel(&tree.root.join(&item.path))?;
        }
    }
    Ok(())
}

/// Read every file of a wheel to its end, which compares it with the wheel's checksums, and then with its RECORD.
fn check_wheel(wheel: &Path) -> Result<(), Fault> {
    let damaged = |error: io::Error| Fault::new("damaged", wheel, tool::io_text(&error));
    let (tree, record) = read(wheel).map_err(damaged)?;
    let Some((path, text)) = record else {
        return Err(Fault::new("damaged", wheel, "it holds no RECORD"));
    };
    differences(&tree, &record_lines(&wheel.join(path), &text)?)
}

/// The files of a wheel, and its RECORD.
fn read(wheel: &Path) -> io::Result<(Tree, Option<(PathBuf, String)>)> {
    let mut archive = ZipArchive::new(owner::open_file(wheel)?).map_err(io::Error::other)?;
    let mut tree = Tree { root: wheel.to_owned(), items: Vec::new() };
    let (mut record, mut buffer) = (None, vec![0; BUFFER_BYTES]);
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(io::Error::other)?;
        let path = PathBuf::from(&*file.name().map_err(io::Error::other)?);
        if file.is_dir() {
            continue;
        }
        let size = file.size();
        let mut hash = Sha256::new();
        let mut text = Vec::new();
        let is_record = path.iter().count() == 2 && path.ends_with("RECORD");
        let mut limited = Read::take(&mut file, size.saturating_add(1));
        loop {
            let length = limited.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            hash.update(&buffer[..length]);
            if is_record && (text.len() as u64) < RECORD_BYTES {
                text.extend_from_slice(&buffer[..length]);
            }
        }
        if is_record {
            record = Some((path.clone(), String::from_utf8(text).map_err(io::Error::other)?));
        }
        let stat = Stat { size, mtime_ns: 0, ctime_ns: 0, inode: 0 };
        let sha256 = Some(hash.finalize().into());
        tree.items.push(Item { path, kind: Kind::File { stat, mode: 0o644, program: None, sha256 } });
    }
    Ok((tree, record))
}
