//! What the first bytes of a file say of the program that it may be.
use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

/// Whether a file that begins so is an ELF program that the kernel runs. A library is none, and a script is none.
#[must_use]
pub fn is_program(head: &[u8]) -> bool {
    parse(head).unwrap_or(false)
}

fn parse(head: &[u8]) -> object::Result<bool> {
    let header = FileHeader64::<Endianness>::parse(head)?;
    let endian = header.endian()?;
    let loaded = |segment: &_| ProgramHeader::p_type(segment, endian) == PT_INTERP;
    Ok(match header.e_type(endian) {
        ET_EXEC => true,
        ET_DYN => header.program_headers(endian, head)?.iter().any(loaded),
        _ => false,
    })
}

/// Whether a file that begins so is an ELF file for another machine than this conda platform's. A script is for all.
#[must_use]
pub fn is_for_another(head: &[u8], platform: &str) -> bool {
    let machine = match platform {
        "linux-64" => EM_X86_64,
        "linux-aarch64" => EM_AARCH64,
        _ => return false,
    };
    let said =
        FileHeader64::<Endianness>::parse(head).and_then(|header| Ok(header.e_machine(header.endian()?)));
    said.is_ok_and(|said| said != machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_from_what_only_begins_like_one() {
        let own = owner::read_file(&std::env::current_exe().unwrap(), 1 << 30).unwrap();
        assert!(is_program(&own[..4096]));
        for other in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &own[..40], &own[1..4096]] {
            assert!(!is_program(other) && !is_for_another(other, "linux-64"), "{other:?}");
        }
        let mut object = own[..4096].to_vec();
        object[16] = 1;
        assert!(!is_program(&object));
        let others = ["linux-64", "linux-aarch64", "osx-64"].map(|platform| is_for_another(&own, platform));
        assert_eq!(others, [cfg!(target_arch = "aarch64"), cfg!(target_arch = "x86_64"), false]);
    }
}
