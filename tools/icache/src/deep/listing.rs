//! Whether every file of a package is what the package says it is: `paths.json` for conda, `RECORD` for wheels.
use super::record::{plain, record_lines};
use super::tree::{Item, Kind, Stat, Tree};
use crate::cache_entry::CacheEntry;
use crate::gap::Fault;
use crate::lookup::dist_info;
use crate::program::{cannot_run as cannot_be_run, may_run};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use store::{ListedPath, PathType};

/// `RECORD` has some 100 bytes for each file.
const RECORD_BYTES: usize = 128 << 20;

/// Compare a hashed tree with what its package lists. The first fault speaks for the package and counts the others.
pub(super) fn compare(found: &CacheEntry, tree: &Tree) -> Result<(), Fault> {
    match found {
        CacheEntry::Conda(entry) => {
            let file = entry.folder.join("info/paths.json");
            let damaged = |error| Fault::new("damaged", &file, tool::io_text(&error));
            // A package old enough to have only `info/files` has no hashes to compare with; one that lost its list looks alike.
            let Some(listing) = entry.paths_json().map_err(damaged)? else {
                let detail = "it has no info/paths.json, and info/files has no hashes";
                return Err(Fault { path: Some(file), ..Fault::unprovable(detail) });
            };
            let listed = listing.paths().map_err(damaged)?;
            differences(tree, &listed)?;
            cannot_run(tree, &listed)
        }
        // Nothing lists what a source distribution holds.
        CacheEntry::Source { .. } => Ok(()),
        CacheEntry::Wheel { archive, .. } | CacheEntry::Built { archive, .. } => {
            let (record, text) = record_of(archive)?;
            let listed = record_lines(&record, &text)?;
            differences(tree, &listed)?;
            unlisted(tree, &record, &listed)?;
            cannot_run(tree, &listed)
        }
    }
}

/// A file of this size is read only where its package lists it with that size: somebody may have made one that has no end.
const LARGE_BYTES: u64 = 64 << 20;

/// No file of a package that has no list is so large.
const HUGE_BYTES: u64 = 64 << 30;

/// Leave large files out that are not what the package lists, before they are hashed.
pub(super) fn leave_out_unlisted(found: &CacheEntry, tree: &mut Tree) {
    let large = |item: &&mut Item| matches!(&item.kind, Kind::File { stat, .. } if stat.size >= LARGE_BYTES);
    if !tree.items.iter_mut().any(|item| large(&item)) {
        return;
    }
    // A list that cannot be read is reported where the two are compared. An old package has none.
    let listless = match found {
        CacheEntry::Conda(entry) => matches!(entry.paths_json(), Ok(None)),
        CacheEntry::Source { .. } => true,
        CacheEntry::Wheel { .. } | CacheEntry::Built { .. } => false,
    };
    let sizes = sizes(found).unwrap_or_default();
    for item in tree.items.iter_mut().filter(large) {
        let Kind::File { stat: Stat { size, .. }, .. } = item.kind else { continue };
        let differs = match sizes.get(&item.path) {
            Some(listed) => listed.is_some_and(|listed| listed != size),
            None => !listless || size >= HUGE_BYTES,
        };
        if differs {
            item.kind = Kind::Unlisted { size };
        }
    }
}

/// The size of every file that the package lists, where it says one.
fn sizes(found: &CacheEntry) -> Option<HashMap<PathBuf, Option<u64>>> {
    let size = |listed: &ListedPath<'_>| (plain(&listed.path), listed.size_in_bytes);
    match found {
        CacheEntry::Conda(entry) => Some(entry.paths_json().ok()??.paths().ok()?.iter().map(size).collect()),
        CacheEntry::Source { .. } => None,
        CacheEntry::Wheel { archive, .. } | CacheEntry::Built { archive, .. } => {
            let (record, text) = record_of(archive).ok()?;
            Some(record_lines(&record, &text).ok()?.iter().map(size).collect())
        }
    }
}

pub(super) fn differences(tree: &Tree, listed: &[ListedPath<'_>]) -> Result<(), Fault> {
    let items = tree.items.iter().map(|item| (item.path.as_os_str().as_bytes(), item));
    let items: HashMap<&[u8], &Item> = items.collect();
    let find =
        |path: &str| items.get(path.as_bytes()).or_else(|| items.get(plain(path).as_os_str().as_bytes()));
    let mut faults = listed.iter().filter_map(|wanted| {
        // What lies in a folder that could not be read is not known to be missing.
        let item = find(&wanted.path).copied().or_else(|| tree.unread_above(&plain(&wanted.path)));
        let detail = differs(wanted, item)?;
        Some((&wanted.path, detail))
    });
    let Some((path, detail)) = faults.next() else { return Ok(()) };
    let others = faults.count();
    let more = if others == 0 { String::new() } else { format!(", and {others} more files") };
    Err(Fault::new("damaged", tree.root.join(&**path), format!("{detail}{more}")))
}

/// No list has the modes. What is at fault for certain without them: a program where programs are, or any, where no file of
/// the package may be run at all.
fn cannot_run(tree: &Tree, listed: &[ListedPath<'_>]) -> Result<(), Fault> {
    let none_runs = std::cell::OnceCell::new();
    let mut at_fault = tree.items.iter().filter_map(|item| {
        let Kind::File { mode, program: Some(program), .. } = &item.kind else { return None };
        if may_run(*mode) || !program.may_be_at_fault(&item.path) {
            return None;
        }
        let lost = program.must_run(&item.path) || *none_runs.get_or_init(|| tree.executables().is_empty());
        lost.then_some((item, *mode))
    });
    // What a conda package does not list is not installed; a wheel has been found to list all.
    let is_listed = |item: &Item| listed.iter().any(|listed| plain(&listed.path) == item.path);
    let Some((item, mode)) = at_fault.find(|(item, _)| is_listed(item)) else { return Ok(()) };
    let more = match at_fault.count() {
        0 => String::new(),
        others => format!(", and {others} more files"),
    };
    Err(Fault::new("damaged", tree.root.join(&item.path), format!("{}{more}", cannot_be_run(mode))))
}

/// list is not installed.
fn unlisted(tree: &Tree, record: &Path, listed: &[ListedPath<'_>]) -> Result<(), Fault> {
    let listed: HashSet<PathBuf> = listed.iter().map(|listed| plain(&listed.path)).collect();
    let itself = record.strip_prefix(&tree.root).unwrap_or(record);
    let exempt = ["", ".jws", ".p7s"].map(|end| {
        let mut path = itself.as_os_str().to_owned();
        path.push(end);
        PathBuf::from(path)
    });
    let known = |item: &&Item| {
        matches!(item.kind, Kind::Folder) || listed.contains(&item.path) || exempt.contains(&item.path)
    };
    let mut others = tree.items.iter().filter(|item| !known(item));
    let Some(first) = others.next() else { return Ok(()) };
    let count = others.count();
    let more = if count == 0 { String::new() } else { format!(", and {count} more files") };
    let detail = format!("it would be installed, and RECORD does not list it{more}");
    Err(Fault::new("damaged", tree.root.join(&first.path), detail))
}

/// How what is there differs from what is listed. The target of a link may be missing by right.
fn differs(wanted: &ListedPath<'_>, item: Option<&Item>) -> Option<String> {
    let Some(item) = item else { return Some("it is missing".to_owned()) };
    match (wanted.path_type, &item.kind) {
        (PathType::SoftLink, Kind::Link(_)) | (PathType::Directory, Kind::Folder) => None,
        (PathType::HardLink, Kind::File { stat, mode, sha256, .. }) => {
            if let Some(size) = wanted.size_in_bytes.filter(|size| *size != stat.size) {
                return Some(format!("it has {} bytes instead of {size}", stat.size));
            }
            if wanted.sha256.is_some_and(|wanted| *sha256 != Some(wanted)) {
                return Some("its content is not what the package lists".to_owned());
            }
            // Root reads it all the same, and installs a file that nobody else reads.
            let closed = mode & 0o400 == 0;
            closed.then(|| {
                format!("its owner may not read it, its mode is {mode:04o}: a copy has lost the modes")
            })
        }
        (PathType::HardLink, Kind::Unlisted { size }) => {
            let listed = wanted.size_in_bytes.unwrap_or_default();
            Some(format!("it has {size} bytes instead of {listed}"))
        }
        (_, Kind::Unreadable(cause)) => Some(format!("it cannot be read: {cause}")),
        _ => Some("it is of another type than the package lists".to_owned()),
    }
}

fn record_of(archive: &Path) -> Result<(PathBuf, String), Fault> {
    let record = archive.join(dist_info(archive)?).join("RECORD");
    let text = owner::read_file(&record, RECORD_BYTES)
        .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    match text {
        Ok(text) => Ok((record, text)),
        Err(error) => Err(Fault::new("damaged", record, tool::io_text(&error))),
    }
}
