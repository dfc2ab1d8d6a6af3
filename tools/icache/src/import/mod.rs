//! Taking files that were fetched elsewhere into the cache, as pixi itself lays them out: unpacked, and with what says that
//! they have the hash of the lock file.
mod conda;
mod fetched;
mod wheel;

pub(crate) use fetched::Fetched;

use crate::lookup::Stores;
use lock::Package;
use std::io;

/// Unpack a file into the cache. What lies in its place has been moved out of the way.
pub(crate) fn take(fetched: &Fetched, stores: &Stores, package: &Package) -> io::Result<()> {
    match package {
        Package::Conda(conda) => conda::take(fetched, &stores.pkgs, conda),
        Package::Pypi(pypi) => wheel::take(fetched, &stores.wheels, pypi),
    }
}
