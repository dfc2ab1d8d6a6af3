//! The two forms of a bundle: a tar, and the self-extracting script that pixi-pack makes of a tar and its pixi-unpack.
use archive::{ArchiveError, Kind, PositionedReader, Root, Sink, Tee, pump};
use bundle::{HEADER_CEILING, Member, Script};
use indicatif::ProgressBar;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const HINT: &str = "give a .tar, .tar.gz, .tgz or .sh that pixi-pack made";

/// What a bundle's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Tar,
    Script,
}

impl Form {
    /// By the first bytes of a file.
    pub(super) fn of(file: &File) -> Result<Self, ArchiveError> {
        Self::of_head(&archive::head(file)?)
    }

    fn of_head(head: &[u8]) -> Result<Self, ArchiveError> {
        if head.starts_with(b"#!") {
            return Ok(Self::Script);
        }
        match Kind::of(head) {
            Ok(Kind::Tar | Kind::Gzip) => Ok(Self::Tar),
            Ok(other) => {
                let cause = format!("it is a .{}, which no bundle is", other.extension());
                Err(ArchiveError::bad(cause).hint(HINT))
            }
            Err(error) if head.starts_with(b"version https://git-lfs") => Err(error),
            Err(error) => Err(error.hint(HINT)),
        }
    }

    /// Unpack a bundle of this form into `root`: its sha256, and its files. The program that a script carries is written to
    /// `program`.
    pub(super) fn unpack(
        self,
        file: &File,
        root: &mut Root,
        program: &Path,
        bar: &ProgressBar,
    ) -> Result<(String, Vec<Member>), ArchiveError> {
        let sha256 = match self {
            Self::Tar => archive::unpack(file, root, bar)?,
            Self::Script if !is_known_script(file)? => return Err(no_marker()),
            Self::Script => archive::unpack_with(file, root, bar, |tee, sink| decode(tee, program, sink))?,
        };
        let files = root.take_hashed().into_iter();
        let member = |file: archive::HashedFile| Member {
            path: file.path,
            sha256: file.sha256,
            size_bytes: file.size_bytes,
        };
        Ok((sha256, files.map(member).collect()))
    }
}

/// Whether a script is of the make that is unpacked without running it.
pub(super) fn is_known_script(file: &File) -> Result<bool, ArchiveError> {
    let script = Script::begin(BufReader::new(PositionedReader::new(file, 0)));
    script.map(|script| script.is_some()).map_err(|error| ArchiveError::reading(&error))
}

/// A script that pixi-pack did not make, or not as we know it.
fn no_marker() -> ArchiveError {
    let within = HEADER_CEILING >> 10;
    ArchiveError::bad(format!("it is a script without the line @@END_HEADER@@ in its first {within} KiB"))
        .hint("give a bundle that pixi-pack made; another script that you trust runs itself, sealed, with --run-sh")
}

/// Both parts of a script: the tar is sent on, the program written to its file.
fn decode(tee: Tee<'_>, program: &Path, sink: &Sink) -> io::Result<()> {
    let changed = || io::Error::new(io::ErrorKind::InvalidData, "its header changed while it was read");
    let mut script = Script::begin(tee)?.ok_or_else(changed)?;
    if !pump(&mut script, sink)? {
        return Ok(());
    }
    script.program()?;
    let mut file = File::options().write(true).create_new(true).mode(0o755).open(program)?;
    io::copy(&mut script, &mut file)?;
    script.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        let mut header = tar::Header::new_old();
        header.set_path("pixi-pack.json").unwrap();
        header.set_size(1);
        header.set_cksum();
        assert_eq!(Form::of_head(header.as_bytes()).unwrap(), Form::Tar);
        assert_eq!(Form::of_head(b"\x1f\x8b\x08").unwrap(), Form::Tar);
        assert_eq!(Form::of_head(b"#!/bin/bash\n").unwrap(), Form::Script);
        assert!(Form::of_head(b"PK\x03\x04rest").is_err() && Form::of_head(b"").is_err());
    }
}
