//! What is kept between runs: pixi's cache and pixi-pack's, and what this run adds to them.
//!
//! pixi-pack takes what its cache has without a look, and a run that is killed may leave half a file there. So the lock
//! file of the cache has content from before anything is downloaded until the bundle is proved; where it still has, what
//! is newer than it is looked at first.
use crate::contents::sha256_of;
use crate::options::PackOptions;
use bundle::{Member, MemberKind};
use lock::Package;
use rustix::fs::{FlockOperation, flock};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::{Entry, Wheels};
use tool::{Code, Failure};

const LOCK: &str = ".ipack.lock";
const INCOMPLETE_MARK: &[u8] = b"a run that fills this cache has not ended yet, or not well\n";

/// The caches, pixi-pack's locked until this is dropped.
pub(crate) struct Caches {
    pixi: PathBuf,
    rattler: PathBuf,
    pub(crate) pack: PathBuf,
    lock: File,
}

/// The caches as they were before anything was downloaded, with the packages that this is about.
pub(crate) struct LockedCaches<'c> {
    caches: &'c Caches,
    /// Files of pixi-pack's cache, by their path in it.
    files: BTreeSet<String>,
    /// Packages that pixi's cache did not have: how to see that it has one, and the path of the file in the bundle.
    absent: Vec<(Vec<PathBuf>, String)>,
}

impl Caches {
    pub(crate) fn open(options: &PackOptions) -> Result<Self, Failure> {
        let (pixi, rattler) = (options.pixi_cache.clone(), options.rattler_cache.clone());
        let pack = options.pack_cache.clone();
        let cannot = |path: &Path, error: &io::Error| {
            Failure::io(Code::Unmet, format!("cannot use the cache {}", path.display()), error)
        };
        for dir in [&pixi, &rattler, &pack] {
            std::fs::create_dir_all(dir).map_err(|error| cannot(dir, &error))?;
        }
        let path = pack.join(LOCK);
        let mut options = File::options();
        let lock = options.read(true).append(true).create(true).open(&path).map_err(|e| cannot(&path, &e))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let what = format!("cannot lock the cache {}", pack.display());
            return Err(Failure::new(Code::Later, what, "another ipack is filling it")
                .hint("--pixi-pack-cache-dir gives this one a cache of its own"));
        }
        Ok(Self { pixi, rattler, pack, lock })
    }

    /// The variables that pass them to pixi.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        BTreeMap::from([
            ("PIXI_CACHE_DIR".to_owned(), text(&self.pixi)),
            ("RATTLER_CACHE_DIR".to_owned(), text(&self.rattler)),
            ("PIXI_CACHE_PYPI_WHEELS_DIR".to_owned(), text(&self.wheels())),
        ])
    }

    fn wheels(&self) -> PathBuf {
        self.pixi.join("uv-cache")
    }

    /// See what is there, and drop what an ended run may have left incomplete.
    pub(crate) fn lock(&self, packages: &[Package]) -> Result<LockedCaches<'_>, Failure> {
        let cannot = |error: io::Error| {
            Failure::io(Code::Unmet, format!("cannot use the cache {}", self.pack.display()), &error)
        };
        let stat = self.lock.metadata().map_err(cannot)?;
        if stat.len() > 0 {
            self.remove_damaged(stat.modified().map_err(cannot)?, packages).map_err(cannot)?;
        }
        self.mark(INCOMPLETE_MARK).map_err(cannot)?;
        let files = self.files().map_err(cannot)?.into_iter().map(|(name, _)| name).collect();
        let wanted = packages.iter().filter_map(|package| self.wanted(package));
        let absent = wanted.filter(|(places, _)| !places.iter().any(|place| place.exists())).collect();
        Ok(LockedCaches { caches: self, files, absent })
    }

    /// Say in the lock file how far we are.
    fn mark(&self, text: &[u8]) -> io::Result<()> {
        self.lock.set_len(0)?;
        (&self.lock).write_all(text)
    }

    /// Remove the files since `when` of which the lock file does not say that they are whole.
    fn remove_damaged(&self, when: SystemTime, packages: &[Package]) -> io::Result<()> {
        let hashes: BTreeMap<String, &str> = packages.iter().filter_map(hashed).collect();
        for (name, path) in self.files()? {
            if std::fs::metadata(&path)?.modified()? < when {
                continue;
            }
            let whole = match hashes.get(&name) {
                Some(hash) => sha256_of(&path)?.eq_ignore_ascii_case(hash),
                None => false,
            };
            if !whole {
                log::warn!("an ended run left {}, which is removed", path.display());
                std::fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Every `<folder>/<file>` of pixi-pack's cache.
    fn files(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for folder in std::fs::read_dir(&self.pack)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(folder.path())? {
                let file = file?;
                let name =
                    [folder.file_name(), file.file_name()].map(|name| name.to_string_lossy().into_owned());
                files.push((name.join("/"), file.path()));
            }
        }
        Ok(files)
    }

    /// Where pixi's cache has the package, if it has it; and which file of the bundle it is.
    fn wanted(&self, package: &Package) -> Option<(Vec<PathBuf>, String)> {
        match package {
            Package::Conda(conda) => {
                let folder = Entry::of(&self.pixi.join("pkgs"), conda).folder;
                Some((vec![folder], format!("channel/{}/{}", conda.subdir.as_ref()?, conda.archive_name())))
            }
            Package::Pypi(pypi) => {
                let pointers = Wheels::at(self.wheels()).pointers(pypi);
                Some((pointers, format!("pypi/{}", pypi.wheel_name()?)))
            }
        }
    }
}

/// The file in pixi-pack's cache and its sha256.
fn hashed(package: &Package) -> Option<(String, &str)> {
    match package {
        Package::Conda(conda) => {
            Some((format!("{}/{}", conda.subdir.as_ref()?, conda.archive_name()), conda.sha256.as_deref()?))
        }
        Package::Pypi(pypi) => Some((format!("pypi/{}", pypi.wheel_name()?), pypi.sha256.as_deref()?)),
    }
}

/// The same file's path in pixi-pack's cache; `None` for what is not cached.
fn cached(member: &str) -> Option<&str> {
    match MemberKind::of(member) {
        MemberKind::Archive { .. } => member.strip_prefix("channel/"),
        MemberKind::Wheel { .. } => Some(member),
        _ => None,
    }
}

impl LockedCaches<'_> {
    /// Bytes of packages that came over the network since: into pixi-pack's cache, and into pixi's.
    pub(crate) fn downloaded(&self, members: &[Member]) -> u64 {
        let mut bytes = 0;
        for member in members {
            let Some(name) = cached(&member.path) else { continue };
            if !self.files.contains(name) && self.caches.pack.join(name).exists() {
                bytes += member.size_bytes;
            }
            let came = |(places, path): &(Vec<PathBuf>, String)| {
                *path == member.path && places.iter().any(|place| place.exists())
            };
            if self.absent.iter().any(came) {
                bytes += member.size_bytes;
            }
        }
        bytes
    }

    /// What to do about a member that is not what the lock says.
    pub(crate) fn advice(&self, member: &str) -> String {
        match cached(member) {
            Some(name) if self.files.contains(name) => {
                let file = self.caches.pack.join(name);
                format!("it came from the cache; remove {} and run it again", file.display())
            }
            _ => "it was downloaded now: its server has another file than was locked; \
                  run it again, or remove pixi.lock and make it anew with --update-lock"
                .to_owned(),
        }
    }

    /// What is in the cache is proved.
    pub(crate) fn mark_complete(&self) -> Result<(), Failure> {
        self.caches.mark(b"").map_err(|error| {
            Failure::io(Code::Unmet, format!("cannot use the cache {}", self.caches.pack.display()), &error)
        })
    }
}
