//! A file that was fetched elsewhere.
use bundle::PackageFile;
use lock::Package;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What one read of a file asks for.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// A file that was fetched, and of which it is known that it is the locked one.
pub(crate) struct Fetched {
    pub(super) path: PathBuf,
    pub(super) sha256: [u8; 32],
}

impl Fetched {
    /// The file of a package below `dir`: where the list puts it, in a bundle's `channel`, or beside the others.
    ///
    /// # Errors
    /// It is there and not the locked one, or cannot be read.
    pub(crate) fn find(dir: &Path, package: &Package) -> io::Result<Option<Self>> {
        let Some(PackageFile { path, .. }) = PackageFile::of(package) else { return Ok(None) };
        let name = path.rsplit('/').next().unwrap_or_default();
        let places = [dir.join(&path), dir.join("channel").join(&path), dir.join(name)];
        let Some(path) = places.into_iter().find(|path| path.is_file()) else { return Ok(None) };
        let sha256 = sha256_of(&path)?;
        let hex = base16ct::lower::encode_string(&sha256);
        match package.sha256() {
            Some(wanted) if !wanted.eq_ignore_ascii_case(&hex) => {
                Err(io::Error::other(format!("{} has sha256 {hex}, not the locked {wanted}", path.display())))
            }
            _ => Ok(Some(Self { path, sha256 })),
        }
    }
}

fn sha256_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = owner::open_file(path)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// Make a folder beside where it will be, fill it, and give it its name; what was begun is removed where that fails.
pub(super) fn unpack_to(to: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut draft = to.parent().unwrap_or(to).join(".bring-").into_os_string();
    draft.push(to.file_name().unwrap_or_default());
    let draft = PathBuf::from(draft);
    if draft.exists() {
        std::fs::remove_dir_all(&draft)?;
    }
    std::fs::create_dir_all(&draft)?;
    let done = fill(&draft).and_then(|()| std::fs::rename(&draft, to));
    if done.is_err() {
        drop(std::fs::remove_dir_all(&draft));
    }
    done
}
