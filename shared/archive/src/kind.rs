//! Which kind of archive a file is, by its first bytes: names lie.
use crate::ArchiveError;

/// The kinds that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tar as it is.
    Tar,
    /// A tar in gzip.
    Gzip,
    /// A tar in xz.
    Xz,
    /// A tar in zstd.
    Zstd,
    /// A zip.
    Zip,
}

/// How much of a file decides.
pub const HEAD: usize = 512;

/// First bytes of the compressed kinds. A zip without members begins with its end record.
const MAGIC: [(&[u8], Kind); 5] = [
    (b"\x1f\x8b", Kind::Gzip),
    (b"\xfd7zXZ\0", Kind::Xz),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
];

/// First bytes of what people hand in by mistake, and what to do then.
const MISTAKEN: [(&[u8], &str, &str); 6] = [
    (
        b"version https://git-lfs",
        "it is a Git LFS pointer, not the file itself",
        "fetch it with git lfs pull",
    ),
    (b"BZh", "it is compressed with bzip2, which is not taken", HINT),
    (b"7z\xbc\xaf", "it is a 7-Zip archive, which is not taken", HINT),
    (b"\x7fELF", "it is a program, not an archive", HINT),
    (b"<", "it is a web page or XML, not an archive", "the download may have failed; fetch it again"),
    (b"GGUF", "it is a model, not an archive of llama-server", HINT),
];

const HINT: &str = "give a .tar, .tar.gz, .tgz, .tar.xz, .tar.zst or .zip";

impl Kind {
    /// The kind of the file that begins with `head`.
    ///
    /// # Errors
    /// It begins as no archive does.
    pub fn of(head: &[u8]) -> Result<Self, ArchiveError> {
        if head.is_empty() {
            return Err(
                ArchiveError::bad("the file is empty").hint("copy it again: nothing of it came through")
            );
        }
        if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Ok(*kind);
        }
        if is_tar(head) {
            return Ok(Self::Tar);
        }
        for (magic, cause, hint) in MISTAKEN {
            if head.starts_with(magic) {
                return Err(ArchiveError::bad(cause).hint(hint));
            }
        }
        Err(ArchiveError::bad("it is not an archive: unrecognised file format").hint(HINT))
    }

    /// The ending that files of this kind have.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Gzip => "tar.gz",
            Self::Xz => "tar.xz",
            Self::Zstd => "tar.zst",
            Self::Zip => "zip",
        }
    }
}

/// The checksum of the first header decides, so that the oldest tar files, which have no magic, are taken too.
fn is_tar(head: &[u8]) -> bool {
    head.len() >= HEAD && crate::tar::is_header(&head[..HEAD]) && head[0] != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        assert_eq!(Kind::of(b"\x1f\x8b\x08").unwrap(), Kind::Gzip);
        assert_eq!(Kind::of(b"PK\x03\x04rest").unwrap(), Kind::Zip);
        let mut header = tar::Header::new_old();
        header.set_path("bin/llama-server").unwrap();
        header.set_size(1);
        header.set_cksum();
        assert_eq!(Kind::of(header.as_bytes()).unwrap(), Kind::Tar);
        assert!(Kind::of(&[0; 1024]).is_err() && Kind::of(b"hello").is_err() && Kind::of(b"").is_err());
    }
}
