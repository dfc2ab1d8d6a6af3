//! Which kind of archive a file is, by its first bytes: names lie.
use crate::unpack::Trouble;

/// The kinds that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tar,
    Gzip,
    Xz,
    Zstd,
    Zip,
    /// The self-extracting script that pixi-pack makes.
    Script,
}

/// How much of a file decides.
pub(crate) const HEAD: usize = 512;

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
    pub(crate) fn of(head: &[u8]) -> Result<Self, Trouble> {
        if head.is_empty() {
            return Err(Trouble::bad("the file is empty").hint("copy it again: nothing of it came through"));
        }
        if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Ok(*kind);
        }
        if is_tar(head) {
            return Ok(Self::Tar);
        }
        for (magic, cause, hint) in MISTAKEN {
            if head.starts_with(magic) {
                return Err(Trouble::bad(cause).hint(hint));
            }
        }
        Err(Trouble::bad("it is not an archive: it begins as none of them does").hint(HINT))
    }

    /// The kind of the bundle that begins with `head`.
    pub(crate) fn of_bundle(head: &[u8]) -> Result<Self, Trouble> {
        const HINT: &str = "give a .tar, .tar.gz, .tgz or .sh that pixi-pack made";
        if head.starts_with(b"#!") {
            return Ok(Self::Script);
        }
        match Self::of(head) {
            Ok(kind @ (Self::Tar | Self::Gzip)) => Ok(kind),
            Ok(other) => {
                Err(Trouble::bad(format!("it is a .{}, which no bundle is", other.extension())).hint(HINT))
            }
            Err(trouble) if head.starts_with(b"version https://git-lfs") => Err(trouble),
            Err(trouble) => Err(trouble.hint(HINT)),
        }
    }

    /// The ending that files of this kind have.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Gzip => "tar.gz",
            Self::Xz => "tar.xz",
            Self::Zstd => "tar.zst",
            Self::Zip => "zip",
            Self::Script => "sh",
        }
    }
}

/// The checksum of the first header decides, so that the oldest tar files, which have no magic, are taken too.
fn is_tar(head: &[u8]) -> bool {
    head.len() >= HEAD && super::tar::is_header(&head[..HEAD]) && head[0] != 0
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
        assert_eq!(Kind::of_bundle(header.as_bytes()).unwrap(), Kind::Tar);
        assert_eq!(Kind::of_bundle(b"#!/bin/bash\n").unwrap(), Kind::Script);
        assert!(Kind::of_bundle(b"PK\x03\x04rest").is_err() && Kind::of_bundle(b"").is_err());
        assert!(Kind::of(&[0; 1024]).is_err() && Kind::of(b"hello").is_err() && Kind::of(b"").is_err());
    }
}
