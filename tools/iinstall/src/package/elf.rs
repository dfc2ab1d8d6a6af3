//! What the dynamic loader reads in an ELF file: the libraries that it needs, where it is told to look for them, and the
//! symbol versions that it wants of them.
//!
//! By the program headers alone, as the loader does: a stripped file may have no sections.
use crate::package::versions::{Tables, Wanted};
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadCache, ReadRef};
use std::fs::File;
use std::io;
use std::path::Path;

/// One ELF file of this machine's word size.
#[derive(Debug, Default)]
pub(crate) struct Elf {
    pub(crate) machine: elf::Machine,
    pub(crate) needed: Vec<String>,
    /// `DT_RPATH`: holds for what it needs, too, and is ignored where there is a `DT_RUNPATH`.
    pub(crate) rpath: Vec<String>,
    pub(crate) runpath: Vec<String>,
    /// The loader that it asks for.
    pub(crate) interpreter: Option<String>,
    /// Symbol versions that it wants of what it needs.
    pub(crate) wanted: Vec<Wanted>,
    /// Symbol versions that it defines; none at all where it knows no versions.
    pub(crate) versions: Vec<String>,
}

/// This machine's number in an ELF header.
#[cfg(target_arch = "x86_64")]
pub(crate) const MACHINE: elf::Machine = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
pub(crate) const MACHINE: elf::Machine = elf::EM_AARCH64;

/// Read a file's dynamic section; `None` where it is not a 64-bit ELF file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Elf>> {
    let cache = ReadCache::new(File::open(path)?);
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
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            found.interpreter = Some(String::from_utf8_lossy(interpreter).into_owned());
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
        found.wanted = tables.wanted(place, count, &text);
    }
    if let Some((place, count)) = entries_of(elf::DT_VERDEF, elf::DT_VERDEFNUM) {
        found.versions = tables.defined(place, count, &text);
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
        assert_eq!(own.machine, MACHINE);
        assert!(own.needed.iter().any(|name| name.starts_with("libc.")), "{own:?}");
        assert!(own.interpreter.unwrap().starts_with('/'));
    }

    #[test]
    fn what_is_no_elf_file_is_none() {
        assert!(read(Path::new("/etc/passwd")).unwrap().is_none());
    }
}
