//! A bundle less what another machine has. What is left are packages alone: without its own description nothing takes it for
//! a bundle that could be installed.
use bundle::{Inventory, MemberKind, PackageFile};
use lock::{Package, percent_decode};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use tool::{Code, Failure};

/// How much a write asks for.
const CHUNK: usize = 256 << 10;

/// What came of it.
pub(crate) struct Thin {
    pub(crate) left_out: u64,
    /// Packages in it whose hash is that of the lock file.
    pub(crate) proved: u64,
}

/// Write the bundle at `staged`, which was proved, anew with only what `have` lacks.
pub(crate) fn cut(staged: &Path, packages: &[Package], have: &Inventory) -> Result<Thin, Failure> {
    let files = || packages.iter().filter_map(PackageFile::of);
    let known: HashSet<String> = files().filter(|file| have.has(file)).map(|file| file.path).collect();
    let hashed: HashSet<String> = packages
        .iter()
        .filter(|package| package.sha256().is_some())
        .filter_map(|package| Some(PackageFile::of(package)?.path))
        .collect();
    let mut thin = Thin { left_out: 0, proved: 0 };
    let draft = staged.with_extension("thin");
    let written = copy(staged, &draft, |path| {
        let Some(path) = package(path) else { return false };
        if known.contains(&path) {
            thin.left_out += 1;
            return false;
        }
        thin.proved += u64::from(hashed.contains(&path));
        true
    });
    written
        .and_then(|()| std::fs::rename(&draft, staged))
        .map_err(|error| Failure::io(Code::Unmet, format!("cannot write {}", draft.display()), &error))?;
    Ok(thin)
}

/// The path of a package's file as lists have it; `None` for what is no package.
fn package(member: &str) -> Option<String> {
    match MemberKind::of(member) {
        MemberKind::Archive { subdir, file } => Some(format!("{subdir}/{}", percent_decode(file))),
        MemberKind::Wheel { file } => Some(format!("pypi/{}", percent_decode(file))),
        _ => None,
    }
}

/// Copy the members that are wanted.
fn copy(from: &Path, to: &Path, mut wanted: impl FnMut(&str) -> bool) -> io::Result<()> {
    let mut archive = tar::Archive::new(BufReader::with_capacity(CHUNK, File::open(from)?));
    let mut builder = tar::Builder::new(BufWriter::with_capacity(CHUNK, File::create(to)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type().is_file() && wanted(&path) {
            let mut header = entry.header().clone();
            builder.append_data(&mut header, &path, &mut entry)?;
        }
    }
    builder.into_inner()?.flush()
}
