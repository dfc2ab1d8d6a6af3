//! Reading a tar stream.
//!
//! The `tar` crate decodes headers; the walk is ours, because a member's extensions must have a ceiling (a name of 10 GB of
//! zeros is a bomb) and because an archive that ends without its end mark is truncated, which the crate does not say.
use crate::{ArchiveError, Attributes, Root};
use std::io::{BufRead, Read};
use tar::{EntryType, Header};

const BLOCK: usize = 512;
/// A pax header or a long name above this is no name.
const EXTENSION_CEILING: u64 = 256 << 10;

/// What extension headers say of the member that follows them.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Whether this block is a header: its checksum is right.
pub(crate) fn is_header(block: &[u8]) -> bool {
    let header = Header::from_byte_slice(block);
    let sum: u32 = block[..148].iter().chain(&block[156..]).map(|byte| u32::from(*byte)).sum();
    header.cksum().is_ok_and(|said| said == sum + 8 * u32::from(b' '))
}

/// Unpack every member of a tar, up to its end mark.
///
/// # Errors
/// The tar is damaged or hostile, or this machine lacks something.
pub fn unpack(input: &mut impl BufRead, root: &mut Root) -> Result<(), ArchiveError> {
    let mut extended = Extended::default();
    let mut block = [0; BLOCK];
    let mut first = true;
    loop {
        input.read_exact(&mut block).map_err(|error| ArchiveError::reading(&error))?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        if !is_header(&block) {
            let what = if first {
                "what is compressed in it is not a tar archive"
            } else {
                "it is damaged: a header's checksum is wrong"
            };
            return Err(ArchiveError::bad(what));
        }
        first = false;
        let header = Header::from_byte_slice(&block);
        let size = header.entry_size().map_err(|error| ArchiveError::reading(&error))?;
        match header.entry_type() {
            EntryType::GNULongName => extended.path = Some(long_name(input, size)?),
            EntryType::GNULongLink => extended.link = Some(long_name(input, size)?),
            EntryType::XHeader => pax(&extension(input, size)?, &mut extended)?,
            EntryType::XGlobalHeader => skip(input, padded(size))?,
            _ => member(header, std::mem::take(&mut extended), input, root)?,
        }
    }
}

fn member(
    header: &Header,
    extended: Extended,
    input: &mut impl BufRead,
    root: &mut Root,
) -> Result<(), ArchiveError> {
    let name = extended.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let link = extended.link.or_else(|| header.link_name_bytes().map(Into::into));
    let size =
        extended.size.map_or_else(|| header.entry_size(), Ok).map_err(|e| ArchiveError::reading(&e))?;
    // Before directories had a type of their own, a slash at the end made one.
    let kind = match header.entry_type() {
        EntryType::Regular if name.ends_with(b"/") => EntryType::Directory,
        kind => kind,
    };
    match kind {
        EntryType::Regular | EntryType::Continuous => {
            let attributes = Attributes { mode: header.mode().unwrap_or(0), mtime: header.mtime().ok() };
            root.file(&name, attributes, size, input)?;
            return skip(input, padded(size) - size);
        }
        EntryType::Directory => root.directory(&name, header.mode().unwrap_or(0o755))?,
        EntryType::Symlink | EntryType::Link => {
            let target = link.ok_or_else(|| ArchiveError::member(&name, "a link that names no target"))?;
            if kind == EntryType::Symlink {
                root.symlink(&name, &target)?;
            } else {
                root.hard_link(&name, &target)?;
            }
        }
        EntryType::Char | EntryType::Block => return Err(ArchiveError::member(&name, "a device node")),
        EntryType::Fifo => return Err(ArchiveError::member(&name, "a named pipe")),
        EntryType::GNUSparse => return Err(sparse(&name)),
        other => {
            let why =
                format!("of a type that is not unpacked ('{}')", char::from(other.as_byte()).escape_debug());
            return Err(ArchiveError::member(&name, &why));
        }
    }
    skip(input, padded(size))
}

fn sparse(name: &[u8]) -> ArchiveError {
    ArchiveError::member(name, "a sparse file, which is not unpacked").hint("pack it without tar's --sparse")
}

/// Bytes up to the next block.
fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64)
}

fn skip(input: &mut impl BufRead, bytes: u64) -> Result<(), ArchiveError> {
    let skipped = std::io::copy(&mut input.take(bytes), &mut std::io::sink());
    match skipped {
        Ok(skipped) if skipped == bytes => Ok(()),
        Ok(_) => Err(ArchiveError::truncated()),
        Err(error) => Err(ArchiveError::reading(&error)),
    }
}

fn extension(input: &mut impl BufRead, size: u64) -> Result<Vec<u8>, ArchiveError> {
    if size > EXTENSION_CEILING {
        return Err(ArchiveError::bad(format!("an extension header of {size} bytes, which no name needs")));
    }
    let mut content = Vec::new();
    input.take(size).read_to_end(&mut content).map_err(|error| ArchiveError::reading(&error))?;
    if content.len() as u64 != size {
        return Err(ArchiveError::truncated());
    }
    skip(input, padded(size) - size)?;
    Ok(content)
}

/// GNU's long names end with a zero byte.
fn long_name(input: &mut impl BufRead, size: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut name = extension(input, size)?;
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    Ok(name)
}

/// `LENGTH KEY=VALUE\n`, as often as it takes.
fn pax(mut rest: &[u8], extended: &mut Extended) -> Result<(), ArchiveError> {
    let broken = || ArchiveError::bad("it is damaged: a pax header that cannot be read");
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
        let length: usize =
            std::str::from_utf8(&rest[..space]).ok().and_then(|text| text.parse().ok()).ok_or_else(broken)?;
        let record = rest.get(space + 1..length.saturating_sub(1)).ok_or_else(broken)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
        let (key, value) = (&record[..equals], record[equals + 1..].to_vec());
        match key {
            b"path" => extended.path = Some(value),
            b"linkpath" => extended.link = Some(value),
            b"size" => {
                let size = String::from_utf8(value).ok().and_then(|text| text.parse().ok());
                extended.size = Some(size.ok_or_else(broken)?);
            }
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(sparse(extended.path.as_deref().unwrap_or_default()));
            }
            _ => {}
        }
        rest = rest.get(length..).ok_or_else(broken)?;
    }
    Ok(())
}
