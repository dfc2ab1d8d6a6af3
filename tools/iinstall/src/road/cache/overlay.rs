//! A cache that can be written to, made of one that cannot: packages linked, wheels copied.
//!
//! rattler follows a link to a package and locks beside it; uv takes a linked archive for damaged, so wheels are copied,
//! those that are locked only.
use crate::road::cache::stores::Stores;
use archive::Space;
use lock::{Origin, Package};
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use store::{Entry, Pointer};
use tool::{Code, Failure};

/// In the attempt, removed when the install is done.
pub(crate) const FOLDER: &str = ".shadow";
const PKGS: &str = "pkgs";
const UV: &str = "uv";
const PROBE: &str = ".probe";
/// What points pixi there, each below the shadow's folder.
pub(crate) const VARIABLES: [(&str, &str); 7] = [
    ("PIXI_CACHE_DIR", ""),
    ("RATTLER_CACHE_DIR", ""),
    ("PIXI_CACHE_CONDA_PACKAGES_DIR", PKGS),
    ("PIXI_CACHE_PYPI_WHEELS_DIR", UV),
    ("UV_CACHE_DIR", UV),
    ("PIP_CACHE_DIR", "pip"),
    ("XDG_CACHE_HOME", "xdg"),
];
/// Of uv's other buckets, those that a lookup without a network may read.
const INDEXES: [&str; 2] = ["simple-v21", "flat-index-v2"];
/// And of those, where there is a locked git checkout: what was built of it, and itself.
const GIT: [&str; 2] = ["sdists-v9/git", "git-v0"];

/// Make the shadow, on the disk of `install_root`; how many bytes were copied.
pub(crate) fn make(stores: &Stores, folder: &Path, install_root: &Path) -> Result<u64, Failure> {
    let refused = |(path, error): (PathBuf, io::Error)| {
        let what = format!("cannot make a shadow of the cache in {}", folder.display());
        Failure::new(Code::Unmet, what, format!("{}: {}", path.display(), tool::io_text(&error)))
    };
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    for store in [PKGS, UV] {
        std::fs::create_dir_all(folder.join(store)).map_err(at(folder)).map_err(refused)?;
    }
    let wanted = wanted(stores).map_err(refused)?;
    let linked = linked(stores, folder).map_err(refused)?;
    room(folder, install_root, wanted.bytes + linked)?;
    for path in &wanted.paths {
        let below = path.strip_prefix(&stores.uv).unwrap_or(path);
        copy(path, &folder.join(UV).join(below)).map_err(refused)?;
    }
    Ok(wanted.bytes)
}

/// Whether files of the cache take no room in the environment, linked or with blocks in common. Only a trial shows it: one disk
/// may be mounted in two places, between which nothing is linked, and files of other users may not be.
fn shares(file: &Path, probe: &Path) -> bool {
    let cloned = || -> io::Result<()> {
        let (from, to) = (File::open(file)?, File::create(probe)?);
        Ok(rustix::fs::ioctl_ficlone(to, from)?)
    };
    let shares = std::fs::hard_link(file, probe).is_ok() || cloned().is_ok();
    drop(std::fs::remove_file(probe));
    shares
}

/// Link every locked package and copy the small file beside it. The bytes that pixi will have to copy into the
/// environment, where it can share none with the cache.
fn linked(stores: &Stores, folder: &Path) -> Result<u64, (PathBuf, io::Error)> {
    let probe = folder.join(PROBE);
    let mut shared = None;
    let mut bytes = 0;
    let pkgs = folder.join(PKGS);
    for package in &stores.packages {
        let Package::Conda(conda) = package else { continue };
        let (theirs, ours) = (Entry::of(&stores.pkgs, conda), Entry::of(&pkgs, conda));
        // What is missing is pixi's to say.
        let Ok(real) = theirs.folder.canonicalize() else { continue };
        match symlink(&real, &ours.folder) {
            // Two platforms may have a package in common.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other.map_err(|error| (ours.folder.clone(), error))?,
        }
        if theirs.sidecar.exists() {
            copy(&theirs.sidecar, &ours.sidecar)?;
        }
        if !*shared.get_or_insert_with(|| shares(&real.join("info/index.json"), &probe)) {
            bytes += size(&real)?;
        }
    }
    Ok(bytes)
}

/// What is copied, and its size.
struct FilesToCopy {
    paths: BTreeSet<PathBuf>,
    bytes: u64,
}

fn wanted(stores: &Stores) -> Result<FilesToCopy, (PathBuf, io::Error)> {
    let wheels = stores.wheels();
    let mut paths: BTreeSet<PathBuf> = INDEXES.map(|bucket| stores.uv.join(bucket)).into();
    for package in &stores.packages {
        let Package::Pypi(pypi) = package else { continue };
        for pointer in wheels.pointers(pypi) {
            // The metadata beside it has its name.
            paths.insert(pointer.with_extension("msgpack"));
            if let Ok(pointer) = Pointer::read(&pointer) {
                paths.insert(wheels.archive(&pointer));
            }
            paths.insert(pointer);
        }
        paths.extend(wheels.sources(pypi));
        if matches!(pypi.origin, Origin::Git { .. }) {
            paths.extend(GIT.map(|bucket| stores.uv.join(bucket)));
        }
    }
    paths.retain(|path| path.symlink_metadata().is_ok());
    let bytes = paths.iter().map(|path| size(path)).sum::<Result<u64, _>>()?;
    Ok(FilesToCopy { paths, bytes })
}

/// Refuse where the disk has no room for `bytes` more.
fn room(folder: &Path, install_root: &Path, bytes: u64) -> Result<(), Failure> {
    let what = || format!("cannot make a shadow of the cache in {}", folder.display());
    let open = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let space = open.and_then(|folder| Space::of(install_root, folder.as_fd()));
    let space = space.map_err(|error| Failure::io(Code::Unmet, what(), &error.into()))?;
    space.admit(bytes).map_err(|error| error.failure(what()))
}

/// Bytes of all files of a tree.
fn size(path: &Path) -> Result<u64, (PathBuf, io::Error)> {
    let at = |error| (path.to_owned(), error);
    let stat = path.symlink_metadata().map_err(at)?;
    if !stat.is_dir() {
        return Ok(stat.len());
    }
    std::fs::read_dir(path).map_err(at)?.map(|entry| size(&entry.map_err(at)?.path())).sum()
}

/// A tree, links as they are; the kernel shares blocks where the disk can.
fn copy(from: &Path, to: &Path) -> Result<(), (PathBuf, io::Error)> {
    let at = |error| (from.to_owned(), error);
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(at)?;
    }
    let stat = from.symlink_metadata().map_err(at)?;
    if stat.is_symlink() {
        return symlink(std::fs::read_link(from).map_err(at)?, to).map_err(at);
    }
    if stat.is_dir() {
        std::fs::create_dir_all(to).map_err(at)?;
        for entry in std::fs::read_dir(from).map_err(at)? {
            let name = entry.map_err(at)?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    if !stat.is_file() {
        return Err(at(io::Error::other("it is not a regular file")));
    }
    std::fs::copy(from, to).map_err(at)?;
    // What could not be written there can be here: uv opens some of it to write.
    let mode = Mode::from(stat.mode() & 0o777 | 0o600);
    rustix::fs::chmod(to, mode).map_err(|error| (to.to_owned(), error.into()))
}
