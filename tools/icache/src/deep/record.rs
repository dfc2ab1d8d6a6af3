//! `RECORD`, in which a wheel lists its files.
use crate::gap::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};
use store::{ListedPath, PathType};

/// With `.` or empty parts in it, it is the same path.
pub(super) fn plain(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| *part != Component::CurDir).collect()
}

/// Whatever is in an unpacked wheel's folder gets installed, a `.pth` that runs at every start too. uv adds to RECORD what
/// the wheel forgot there as it unpacks it, all but the signatures: another file came later. What conda packages do not
/// `RECORD`: `path,sha256=<base64 without padding>,<size>`. RECORD itself and its signatures have no hash, nor have lines
/// that uv mended.
pub(super) fn record_lines<'a>(record: &Path, text: &'a str) -> Result<Vec<ListedPath<'a>>, Fault> {
    let damaged = |cause: &str| Fault::new("damaged", record, cause);
    // Folders are listed by some, for nothing.
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.ends_with("/,,"));
    let listed = lines.map(|line| fields(line).ok_or_else(|| damaged("a line has not three fields")));
    let listed: Vec<ListedPath<'_>> = listed.collect::<Result<_, _>>()?;
    if listed.is_empty() {
        return Err(damaged("it is empty"));
    }
    Ok(listed)
}

/// The paths of RECORD's text; what cannot be read of it is left out.
pub(crate) fn record_paths(text: &str) -> impl Iterator<Item = PathBuf> {
    text.lines().filter_map(|line| Some(plain(&fields(line)?.path)))
}

/// One line of RECORD. A path with a comma or a quote in it stands in quotes, doubled inside.
fn fields(line: &str) -> Option<ListedPath<'_>> {
    let (rest, size) = line.rsplit_once(',')?;
    let (path, hash) = rest.rsplit_once(',')?;
    let path: Cow<'_, str> = match path.strip_prefix('"').and_then(|path| path.strip_suffix('"')) {
        Some(quoted) if quoted.contains("\"\"") => quoted.replace("\"\"", "\"").into(),
        Some(quoted) => quoted.into(),
        None => path.into(),
    };
    let sha256 = match hash.strip_prefix("sha256=") {
        Some(text) => Some(hash_from_base64(text.trim_end_matches('='))?),
        None => None,
    };
    let size = if size.is_empty() { None } else { Some(size.trim().parse().ok()?) };
    Some(ListedPath { path, path_type: PathType::HardLink, sha256, size_in_bytes: size })
}

fn hash_from_base64(text: &str) -> Option<[u8; 32]> {
    // It decodes in steps of three.
    let mut hash = [0; 33];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut hash).ok()?;
    hash[..length].try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_record_are_read_with_quotes_and_without_hashes() {
        let plain = fields("six.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,34703").unwrap();
        assert_eq!((&*plain.path, plain.size_in_bytes), ("six.py", Some(34703)));
        assert_eq!(plain.sha256.unwrap()[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        let bare = fields("six-1.17.0.dist-info/RECORD,,").unwrap();
        assert!(bare.sha256.is_none() && bare.size_in_bytes.is_none());
        assert_eq!(fields("\"a,b\"\"c.py\",,1").unwrap().path, "a,b\"c.py");
        assert!(fields("only a path").is_none());
        assert!(fields("a.py,sha256=short,1").is_none());
        assert!(fields(&format!("a.py,sha256={},1", "A".repeat(64))).is_none());
    }
}
