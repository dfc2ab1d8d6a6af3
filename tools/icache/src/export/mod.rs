//! A verified cache as a mirror: a conda channel and an index of wheels, packed again from what was unpacked. The archives are
//! not those of the lock file, which are gone, so that a project is locked against the mirror anew.
mod channel;
mod draft;
mod simple;

use crate::cache_entry::CacheEntry;
use crate::lookup::{Stores, look_up};
use lock::{Origin, Package};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::path::Path;

/// Pack all of them into `dir`, beside what other exports put there. Those that are no archives to be had from a cache.
///
/// # Errors
/// It cannot be written, or a package not be read; [`io::ErrorKind::WouldBlock`] where another export is at work there.
pub(crate) fn export<'p>(
    dir: &Path,
    stores: &Stores,
    packages: impl Iterator<Item = &'p Package>,
) -> io::Result<Vec<&'p Package>> {
    std::fs::create_dir_all(dir)?;
    let held = File::open(dir)?;
    match flock(&held, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "another export is at work there"));
        }
        other => other?,
    }
    let (mut channel, mut index, mut left) =
        (channel::Channel::default(), simple::Index::default(), Vec::new());
    for package in packages {
        let found = look_up(stores, package).found;
        match (package, found.into_iter().next()) {
            (Package::Conda(conda), Some(CacheEntry::Conda(entry))) => channel.add(dir, conda, &entry)?,
            (Package::Pypi(pypi), Some(CacheEntry::Wheel { archive, .. })) => match pypi.wheel_name() {
                Some(name) => index.add(dir, &pypi.name, &name, &archive)?,
                None => left.push(package),
            },
            _ => left.push(package),
        }
    }
    channel.write(dir)?;
    index.write(dir)?;
    Ok(left)
}

/// Whether a package is one that is packed: another one is built, or lies in the template.
pub(crate) fn what(package: &Package) -> String {
    let kind = match package {
        Package::Conda(_) => "",
        Package::Pypi(pypi) => match pypi.origin {
            Origin::Sdist { .. } | Origin::DirectSdist { .. } => " (a source distribution)",
            Origin::Git { .. } => " (a git checkout)",
            _ => "",
        },
    };
    format!("{}{kind}", package.name())
}
