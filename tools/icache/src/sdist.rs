//! A source distribution: what was fetched, and the wheels that were built from it.
//!
//! A wheel built here stands under a fingerprint of all conda packages of its environment, so that only a trial install can
//! show whether it is the one that pixi looks for; where it is not, pixi builds it again from what was fetched.
use crate::cache_entry::{CacheEntry, Lookup, is_folder, unchecked};
use crate::gap::Fault;
use lock::Pypi;
use std::io;
use std::path::{Path, PathBuf};
use store::{Revision, Wheels};

/// Look a source distribution up.
pub(crate) fn look_up(wheels: &Wheels, package: &Pypi) -> Lookup {
    match find(wheels, package) {
        Ok((found, caveat)) => Lookup { found, fault: Some(caveat) },
        Err(fault) => Lookup { found: Vec::new(), fault: Some(fault) },
    }
}

/// What is there, and what cannot be proved of it.
fn find(wheels: &Wheels, package: &Pypi) -> Result<(Vec<CacheEntry>, Fault), Fault> {
    let places = wheels.sources(package);
    let place = places.iter().find(|place| place.join("revision.http").symlink_metadata().is_ok());
    let Some(place) = place else {
        let detail = "it is a source distribution, and neither it nor a wheel built from it is in the cache";
        return Err(Fault { reason: "missing", path: places.into_iter().next(), detail: detail.to_owned() });
    };
    let path = place.join("revision.http");
    let revision = Revision::read(&path).map_err(|e| Fault::new("damaged", &path, tool::io_text(&e)))?;
    if let Some(detail) = unchecked(&revision.hashes, package) {
        return Err(Fault::new("wrong_hash", path, detail));
    }
    let folder = place.join(&revision.id);
    if !is_folder(&folder)? {
        let detail = "revision.http is there, the folder that it names is not";
        return Err(Fault::new("missing", folder, detail));
    }
    let unreadable =
        |error| Fault::new("damaged", &folder, format!("cannot be read: {}", tool::io_text(&error)));
    let built = built(&folder).map_err(unreadable)?;
    if built.is_empty() && !is_folder(&folder.join("src"))? {
        let detail = "neither the unpacked source nor a wheel built from it is there";
        return Err(Fault::new("missing", folder, detail));
    }
    let detail = if built.is_empty() {
        "it is a source distribution, to be built at install"
    } else {
        "it is a source distribution; a wheel built from it is in the cache, maybe for another environment"
    };
    let caveat = Fault { path: Some(place.clone()), ..Fault::unprovable(detail) };
    let unpacked = built.into_iter().filter_map(|wheel| unpacked(&wheel.with_extension("")));
    let mut found: Vec<CacheEntry> = unpacked.collect();
    found.insert(0, CacheEntry::Source { folder, revision: path });
    Ok((found, caveat))
}

/// The wheels in the folder of a revision: `<fingerprint>/<wheel>.whl`, without the fingerprint where plain uv built it.
fn built(revision: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![revision.to_owned()];
    for entry in std::fs::read_dir(revision)? {
        let entry = entry?;
        if entry.file_name() != "src" && entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    let mut built = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder)? {
            let wheel = entry?.path();
            built.extend((wheel.extension() == Some("whl".as_ref())).then_some(wheel));
        }
    }
    built.sort();
    Ok(built)
}

/// What a wheel was unpacked to. Where the link beside it leads nowhere, uv unpacks it again.
fn unpacked(link: &Path) -> Option<CacheEntry> {
    let archive = link.canonicalize().ok().filter(|_| link.is_symlink())?;
    Some(CacheEntry::Built { archive, link: link.to_owned() })
}
