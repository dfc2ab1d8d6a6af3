//! What a program needs of the system: its interpreter or loader, its libraries and their symbol versions.
//!
//! An ELF file is read by its program headers alone, as the loader does: a stripped file may have no sections.
mod program;
mod script;
mod search;
mod system;
mod versions;

pub use program::{is_for_another, is_program};
pub use script::{first_line, interpreter};
pub use search::Search;
pub use system::System;
pub use versions::NeededVersion;

use crate::versions::Tables;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadCache, ReadRef};
use std::io;
use std::path::Path;

/// This machine's number in an ELF header.
#[cfg(target_arch = "x86_64")]
const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: elf::Machine = elf::EM_AARCH64;

/// One 64-bit ELF file.
#[derive(Debug, Default)]
pub struct Elf {
    machine: elf::Machine,
    /// The loader that it asks for.
    pub loader: Option<String>,
    /// Names of the libraries that it needs.
    needed: Vec<String>,
    /// `DT_RPATH`: holds for what it needs, too, and is ignored where there is a `DT_RUNPATH`.
    rpath: Vec<String>,
    runpath: Vec<String>,
    /// Symbol versions that it needs of its libraries.
    needed_versions: Vec<NeededVersion>,
    /// Symbol versions that it defines; none at all where it knows no versions.
    defined_versions: Vec<String>,
}

impl Elf {
    /// Whether it is built for this kind of processor.
    #[must_use]
    pub fn is_for_this_machine(&self) -> bool {
        self.machine == MACHINE
    }
}

/// Read a file's dynamic section; `None` where it is not a 64-bit ELF file.
///
/// # Errors
/// What the system says; that the file is a damaged ELF file.
pub fn read(path: &Path) -> io::Result<Option<Elf>> {
    let cache = ReadCache::new(owner::open_file(path)?);
    let data = &cache;
    let Ok(header) = FileHeader64::<Endianness>::parse(data) else { return Ok(None) };
    parse(header, data).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn parse<'a, R: ReadRef<'a>>(header: &FileHeader64<Endianness>, data: R) -> object::Result<Elf> {
    let endian = header.endian()?;
    let segments = header.program_headers(endian, data)?;
    let mut found = Elf { machine: header.e_machine(endian), ..Elf::default() };
    let mut entries = Vec::new();
    for segment in segments {
        if let Some(loader) = segment.interpreter(endian, data)? {
            found.loader = Some(String::from_utf8_lossy(loader).into_owned());
        }
        for entry in segment.dynamic(endian, data)?.unwrap_or_default() {
            entries.push((entry.d_tag.get(endian), entry.d_val.get(endian)));
        }
    }
    let value = |tag| entries.iter().find(|(t, _)| *t == tag).map(|(_, value)| *value);
    let (Some(table), Some(size)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else { return Ok(found) };
    // The table is asked for by its place in the file: its whole segment may be hundreds of megabytes of GPU code.
    let place = |address: u64| {
        segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr(endian))?;
            (inside < segment.p_filesz(endian)).then(|| segment.p_offset(endian).saturating_add(inside))
        })
    };
    let strings = place(table).and_then(|place| data.read_bytes_at(place, size).ok()).unwrap_or_default();
    let text = |offset: u64| {
        let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..)).unwrap_or_default();
        String::from_utf8_lossy(rest.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
    };
    let tables = Tables { data, endian };
    let entries_of = |at, number| Some((value(at).and_then(place)?, value(number)?));
    if let Some((place, count)) = entries_of(elf::DT_VERNEED, elf::DT_VERNEEDNUM) {
        found.needed_versions = tables.needed(place, count, &text);
    }
    if let Some((place, count)) = entries_of(elf::DT_VERDEF, elf::DT_VERDEFNUM) {
        found.defined_versions = tables.defined(place, count, &text);
    }
    let paths = |offset| text(offset).split(':').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    for (tag, value) in entries {
        match tag {
            elf::DT_NULL => break,
            elf::DT_NEEDED => found.needed.push(text(value)),
            elf::DT_RPATH => found.rpath = paths(value),
            elf::DT_RUNPATH => found.runpath = paths(value),
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_program_is_read_as_the_loader_reads_it() {
        let own = read(&std::env::current_exe().unwrap()).unwrap().unwrap();
        assert!(own.is_for_this_machine());
        assert!(own.needed.iter().any(|name| name.starts_with("libc.")), "{own:?}");
        assert!(own.loader.unwrap().starts_with('/'));
    }

    #[test]
    fn what_is_no_elf_file_is_none() {
        assert!(read(Path::new("/etc/passwd")).unwrap().is_none());
    }
}
