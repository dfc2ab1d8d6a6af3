//! Whether every file of a package is what the package says it is: `paths.json` for conda, `RECORD` for wheels.
use super::tree::{Item, Kind, Tree};
use crate::gap::Fault;
use crate::quick::{Found, dist_info};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use store::{Entry, ListedPath, PathType};

/// Compare a hashed tree with what its package lists. The first fault speaks for the package and counts the others.
pub(super) fn compare(found: &Found, tree: &Tree) -> Result<(), Fault> {
    let listed = match found {
        Found::Conda(entry) => conda_list(entry)?,
        Found::Wheel { archive, .. } => wheel_list(archive)?,
    };
    let items: HashMap<&Path, &Item> = tree.items.iter().map(|item| (item.path.as_path(), item)).collect();
    let mut faults = listed.iter().filter_map(|wanted| {
        let detail = wanted.differs(items.get(wanted.path.as_path()).copied())?;
        Some((&wanted.path, detail))
    });
    let Some((path, detail)) = faults.next() else { return Ok(()) };
    let others = faults.count();
    let more = if others == 0 { String::new() } else { format!(", and {others} more files") };
    Err(Fault::new("damaged", tree.root.join(path), format!("{detail}{more}")))
}

/// What a package says of one of its files.
struct Listed {
    path: PathBuf,
    kind: PathType,
    sha256: Option<[u8; 32]>,
    size: Option<u64>,
}

impl Listed {
    /// How what is there differs from what is listed. The target of a link may be missing by right.
    fn differs(&self, item: Option<&Item>) -> Option<String> {
        let Some(item) = item else { return Some("it is missing".to_owned()) };
        match (self.kind, &item.kind) {
            (PathType::SoftLink, Kind::Link(_)) | (PathType::Directory, Kind::Folder) => None,
            (PathType::HardLink, Kind::File { stat, sha256 }) => {
                if let Some(size) = self.size.filter(|size| *size != stat.size) {
                    return Some(format!("it has {} bytes instead of {size}", stat.size));
                }
                let same = self.sha256.is_none_or(|wanted| *sha256 == Some(wanted));
                (!same).then(|| "its content is not what the package lists".to_owned())
            }
            (_, Kind::Unreadable(cause)) => Some(format!("it cannot be read: {cause}")),
            _ => Some("it is of another type than the package lists".to_owned()),
        }
    }
}

fn conda_list(entry: &Entry) -> Result<Vec<Listed>, Fault> {
    let file = entry.folder.join("info/paths.json");
    let paths = entry.paths().map_err(|error| Fault::new("damaged", &file, tool::io_text(&error)))?;
    let listed = |path: ListedPath| {
        let sha256 = match path.sha256.as_deref().map(hash_from_hex) {
            Some(None) => return Err(Fault::new("damaged", &file, "a sha256 in it is not one")),
            other => other.flatten(),
        };
        Ok(Listed { path: path.path, kind: path.path_type, sha256, size: path.size_in_bytes })
    };
    // A package old enough to have only `info/files` has no hashes to compare with.
    paths.unwrap_or_default().into_iter().map(listed).collect()
}

pub(super) fn hash_from_hex(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// `RECORD`: `path,sha256=<base64 without padding>,<size>`. RECORD itself and its signatures have no hash, nor have lines
/// that uv mended.
fn wheel_list(archive: &Path) -> Result<Vec<Listed>, Fault> {
    let damaged = |path: &Path, cause: &str| Fault::new("damaged", path, cause);
    let record = archive.join(dist_info(archive)?).join("RECORD");
    let text = std::fs::read_to_string(&record).map_err(|e| damaged(&record, &tool::io_text(&e)))?;
    // Folders are listed by some, for nothing.
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.ends_with("/,,"));
    let listed =
        lines.map(|line| fields(line).ok_or_else(|| damaged(&record, "a line has not three fields")));
    let listed: Vec<Listed> = listed.collect::<Result<_, _>>()?;
    if listed.is_empty() {
        return Err(damaged(&record, "it is empty"));
    }
    Ok(listed)
}

/// One line of RECORD. A path with a comma or a quote in it stands in quotes, doubled inside.
fn fields(line: &str) -> Option<Listed> {
    let (rest, size) = line.rsplit_once(',')?;
    let (path, hash) = rest.rsplit_once(',')?;
    let path = match path.strip_prefix('"').and_then(|path| path.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => path.to_owned(),
    };
    let sha256 = match hash.strip_prefix("sha256=") {
        Some(text) => Some(URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?.try_into().ok()?),
        None => None,
    };
    let size = if size.is_empty() { None } else { Some(size.trim().parse().ok()?) };
    let path = path.strip_prefix("./").unwrap_or(&path).into();
    Some(Listed { path, kind: PathType::HardLink, sha256, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_record_are_read_with_quotes_and_without_hashes() {
        let plain = fields("six.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,34703").unwrap();
        assert_eq!((plain.path.to_str(), plain.size), (Some("six.py"), Some(34703)));
        assert_eq!(plain.sha256.unwrap()[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        let bare = fields("six-1.17.0.dist-info/RECORD,,").unwrap();
        assert!(bare.sha256.is_none() && bare.size.is_none());
        assert_eq!(fields("\"a,b\"\"c.py\",,1").unwrap().path.to_str(), Some("a,b\"c.py"));
        assert!(fields("only a path").is_none());
        assert!(fields("a.py,sha256=short,1").is_none());
    }

    #[test]
    fn hex_that_is_not_a_hash_is_told_from_a_hash() {
        assert_eq!(hash_from_hex(&"ab".repeat(32)), Some([0xab; 32]));
        assert_eq!(hash_from_hex("abc"), None);
    }
}
