//! Reading a zip: its directory is at the end, so the file must be there as a whole.
use crate::name::TARGET_CEILING;
use crate::{ArchiveError, Attributes, Root};
use std::io::{BufReader, Read, Seek};
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

const FORMAT: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

/// Unpack every member of a zip.
///
/// # Errors
/// The zip is damaged or hostile, or this machine lacks something.
pub fn unpack(input: impl Read + Seek, root: &mut Root) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(input).map_err(|error| from_zip(&error))?;
    if archive.has_duplicate_names() {
        return Err(ArchiveError::bad("two of its members have one name"));
    }
    // The same compressed bytes listed as many files: a bomb without a single large member.
    if archive.has_overlapping_entries().map_err(|error| from_zip(&error))? {
        return Err(ArchiveError::bad("it is damaged: its members overlap"));
    }
    let declared = archive.decompressed_size().unwrap_or(0);
    root.admit(u64::try_from(declared).unwrap_or(u64::MAX))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| from_zip(&error))?;
        member(&mut entry, root)?;
    }
    Ok(())
}

fn member<R: Read>(entry: &mut ZipFile<'_, R>, root: &mut Root) -> Result<(), ArchiveError> {
    let name = entry.name_raw().to_vec();
    let mode = entry.unix_mode().unwrap_or(0);
    match mode & FORMAT {
        _ if name.ends_with(b"/") => root.directory(&name, mode),
        DIRECTORY => root.directory(&name, mode),
        LINK if !root.takes_links_as_files() => {
            let mut target = Vec::new();
            // One byte more, so that a longer name is seen to be longer.
            let read = entry.by_ref().take(TARGET_CEILING as u64 + 1).read_to_end(&mut target);
            read.map_err(|error| ArchiveError::reading(&error))?;
            root.symlink(&name, &target)
        }
        0 | REGULAR | LINK => {
            let attributes = Attributes { mode, mtime: None };
            let size = entry.size();
            let mut content = BufReader::with_capacity(256 << 10, entry);
            root.file(&name, attributes, size, &mut content)?;
            // At the end of the data the checksum is compared, and a member that goes on has lied about its size.
            match content.read(&mut [0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(ArchiveError::member(&name, "larger than it says")),
                Err(error) => Err(ArchiveError::reading(&error)),
            }
        }
        _ => Err(ArchiveError::member(&name, "a device node or a named pipe")),
    }
}

fn from_zip(error: &ZipError) -> ArchiveError {
    match error {
        ZipError::Io(error) => ArchiveError::reading(error),
        other => {
            ArchiveError::bad(format!("it is damaged, truncated or of a kind that is not unpacked: {other}"))
        }
    }
}
