//! Reading a zip: its directory is at the end, so the file must be there as a whole.
use crate::unpack::root::TARGET_CEILING;
use crate::unpack::{Attributes, Root, Trouble};
use std::io::{self, BufReader, Read, Seek};
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

const FORMAT: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

/// Unpack every member.
pub(crate) fn unpack(input: impl Read + Seek, root: &mut Root) -> Result<(), Trouble> {
    let mut archive = ZipArchive::new(input).map_err(|error| trouble(&error))?;
    if archive.has_duplicate_names() {
        return Err(Trouble::bad("two of its members have one name"));
    }
    // The same compressed bytes listed as many files: a bomb without a single large member.
    if archive.has_overlapping_entries().map_err(|error| trouble(&error))? {
        return Err(Trouble::bad("it is damaged: its members overlap"));
    }
    let declared = archive.decompressed_size().unwrap_or(0);
    root.admit(u64::try_from(declared).unwrap_or(u64::MAX))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| trouble(&error))?;
        member(&mut entry, root)?;
    }
    Ok(())
}

fn member<R: Read>(entry: &mut ZipFile<'_, R>, root: &mut Root) -> Result<(), Trouble> {
    let name = entry.name_raw().to_vec();
    let mode = entry.unix_mode().unwrap_or(0);
    match mode & FORMAT {
        _ if name.ends_with(b"/") => root.directory(&name),
        DIRECTORY => root.directory(&name),
        LINK => {
            let mut target = Vec::new();
            // One byte more tells a longer one.
            let read = entry.by_ref().take(TARGET_CEILING as u64 + 1).read_to_end(&mut target);
            read.map_err(|error| Trouble::reading(&error))?;
            root.symlink(&name, &target)
        }
        0 | REGULAR => {
            let attributes = Attributes { executable: mode & 0o111 != 0, mtime: None };
            let size = entry.size();
            let mut content = BufReader::with_capacity(256 << 10, entry);
            root.file(&name, attributes, size, &mut content)?;
            // At the end of the data the checksum is compared, and a member that goes on has lied about its size.
            match content.read(&mut [0]) {
                Ok(0) => Ok(()),
                Ok(_) => Err(Trouble::member(&name, "larger than it says")),
                Err(error) => Err(Trouble::reading(&error)),
            }
        }
        _ => Err(Trouble::member(&name, "a device node or a named pipe")),
    }
}

fn trouble(error: &ZipError) -> Trouble {
    match error {
        ZipError::Io(error) => Trouble::reading(error),
        other => Trouble::bad(format!("it is damaged, truncated or of a kind that is not unpacked: {other}")),
    }
}

/// A file read from where we are, whoever else reads it: the descriptor's own position is not touched.
pub(super) struct At<'a> {
    pub(super) file: &'a std::fs::File,
    pub(super) position: u64,
    pub(super) size: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for At<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let position = match to {
            io::SeekFrom::Start(position) => Some(position),
            io::SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            io::SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
