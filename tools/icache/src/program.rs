//! What a copy may lose that keeps every byte: the right to run a program.
use crate::gap::Fault;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The folders of a conda package from which an environment's `bin` is made, and `sbin`.
const FOLDERS: [&str; 4] = ["bin", "sbin", "condabin", "python-scripts"];

/// Program headers stand near the beginning.
const HEAD_BYTES: u64 = 4096;

/// What makes a file one that is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// It names its interpreter in its first line.
    Script,
    /// The kernel loads it.
    Binary,
}

impl Program {
    /// By the file's first bytes.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"#!") {
            return Some(Self::Script);
        }
        elf::is_program(head).then_some(Self::Binary)
    }

    /// Whether it must be possible to run it where it lies in its package. Scripts are kept without that right in many
    /// places, but not in those that are on PATH.
    pub(crate) fn must_run(self, path: &Path) -> bool {
        let top = path.iter().next().and_then(|top| top.to_str());
        let on_path = top.is_some_and(|top| FOLDERS.contains(&top)) && path.iter().count() == 2;
        match self {
            Self::Script => on_path,
            Self::Binary => path.iter().any(|part| part == "bin" || part == "sbin") && !is_library(path),
        }
    }

    /// Whether it has to run where it lies, or where it is one of many that all may not.
    pub(crate) fn may_be_at_fault(self, path: &Path) -> bool {
        self.must_run(path) || self == Self::Binary && !is_library(path)
    }
}

/// Some libraries, as that of C, can be run too.
pub(crate) fn is_library(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"))
}

/// Whether who has a file of this mode may run it.
pub(crate) fn may_run(mode: u32) -> bool {
    mode & 0o100 != 0
}

/// What is wrong with a program of this mode.
pub(crate) fn cannot_run(mode: u32) -> String {
    format!(
        "it is a program that may not be run, its mode is {:04o}: a copy has lost the modes",
        mode & 0o7777
    )
}

/// The first program that may not be run in the folders of an unpacked conda package that come to be on PATH.
pub(crate) fn look_at(package: &Path) -> Result<(), Fault> {
    for folder in FOLDERS {
        // Most packages have none.
        let Ok(entries) = std::fs::read_dir(package.join(folder)) else { continue };
        for entry in entries.flatten() {
            let Ok(stat) = entry.metadata() else { continue };
            let mode = stat.permissions().mode();
            if !stat.is_file() || may_run(mode) {
                continue;
            }
            let path = entry.path();
            let relative = path.strip_prefix(package).unwrap_or(&path);
            if head(&path)
                .and_then(|head| Program::of(&head))
                .is_some_and(|program| program.must_run(relative))
            {
                return Err(Fault::new("damaged", path, cannot_run(mode)));
            }
        }
    }
    Ok(())
}

/// What a file begins with; what may not be read is no program for all that is known.
fn head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    owner::open_file(path).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_libraries_and_from_text() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(Program::of(&this[..4096]), Some(Program::Binary));
        assert_eq!(Program::of(b"#!/bin/sh\n"), Some(Program::Script));
        for other in [&b""[..], b"#", b"\x7fELF", &this[..40], &this[1..4096], b"import os\n"] {
            assert_eq!(Program::of(other), None);
        }
        let mut object = this[..4096].to_vec();
        object[16] = 1;
        assert_eq!(Program::of(&object), None);
    }

    #[test]
    fn where_it_lies_decides_whether_it_must_run() {
        let must =
            |path: &str| [Program::Script, Program::Binary].map(|program| program.must_run(Path::new(path)));
        assert_eq!(must("bin/conda"), [true, true]);
        assert_eq!(must("python-scripts/pip"), [true, false]);
        assert_eq!(must("triton/backends/nvidia/bin/ptxas"), [false, true]);
        assert_eq!(must("lib/python3.12/base64.py"), [false, false]);
        assert_eq!(must("x/bin/libc.so.6"), [false, false]);
        assert!(!Program::Binary.may_be_at_fault(Path::new("lib/libc.so.6")));
        assert!(Program::Binary.may_be_at_fault(Path::new("ray/raylet")));
        assert!(!Program::Script.may_be_at_fault(Path::new("ray/raylet.py")));
        assert_eq!(must("bin/more/x"), [false, true]);
    }
}
