//! One verification: which packages, where, how deep, and what came of it.
use crate::args::Args;
use crate::cache_entry::{CacheEntry, Lookup};
use crate::cache_settings::CacheSettings;
use crate::deep::{DeepCheck, HashOptions, Manifest};
use crate::gap::Fault;
use crate::locked::{Locked, required};
use crate::lookup::{self, Stores, look_up};
use crate::place::replaceable;
use crate::pool::Pool;
use crate::reader::Reader;
use lock::Package;
use record::{Cache, Env, Gap, Warning};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;
use store::Wheels;
use tool::{Code, Failure};

/// What is verified, and how.
pub(crate) struct Survey<'a> {
    args: &'a Args,
    env: &'a Env,
    pub(crate) reader: Reader,
    /// The pixi that filled the cache, where the stream says so.
    pixi_version: Option<String>,
    pub(crate) stores: Stores,
    pub(crate) cache_root: PathBuf,
    pub(crate) locked: Locked,
    /// Write the manifest after a deep pass without gaps: it was asked for, or the cache was filled just now.
    record: bool,
    started: Instant,
}

/// What came of it.
pub(crate) struct SurveyResult {
    pub(crate) warnings: Vec<Warning>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) cache: Cache,
    /// The packages with a gap that blocks, by their place in the lock file.
    pub(crate) blocked: BTreeSet<usize>,
    /// What keeps pixi from locking the cache.
    pub(crate) lock: Option<PathBuf>,
    /// What kept it from all of its work.
    pub(crate) failure: Option<Failure>,
}

/// A package, its place in the lock file, and what was found of it.
type Located<'p> = (usize, &'p Package, CacheEntry);

/// What was found, and what is wrong with the rest.
type LookedUp<'p> = (Vec<Located<'p>>, Vec<(usize, Fault)>);

/// What came of hashing.
#[derive(Default)]
struct Hashed {
    /// Bytes of all files.
    bytes: u64,
    /// Bytes that were read; `None` where no pass was made.
    read_bytes: Option<u64>,
    /// The manifest was written.
    recorded: bool,
}

impl<'a> Survey<'a> {
    /// Read the lock file and choose what is installed from it on this machine.
    pub(crate) fn of(args: &'a Args, env: &'a Env, warmed: Option<&record::Warmed>) -> Result<Self, Failure> {
        let started = Instant::now();
        let reader = Reader::of(env.user.as_deref())?;
        let locked = reader.must_act(|| Locked::read(env, args.platform.as_deref()))??;
        let cache_root = required(env, env.cache_root.as_ref(), "CACHE_ROOT")?;
        let stores = Stores {
            pkgs: required(env, env.conda_pkgs_dir.as_ref(), "CACHE_ROOT")?,
            wheels: Wheels::at(required(env, env.uv_cache_dir.as_ref(), "CACHE_ROOT")?),
            template: locked.folder.clone(),
        };
        let record = args.record || warmed.is_some() && args.since.is_none();
        let warmed = warmed.filter(|warmed| warmed.lock_sha256 == locked.sha256);
        let pixi_version = warmed.map(|warmed| warmed.pixi_version.clone());
        Ok(Self { args, env, reader, pixi_version, stores, cache_root, locked, record, started })
    }

    /// Whose cache it is.
    pub(crate) fn engine(&self) -> record::Engine {
        self.env.engine
    }

    /// Whether a manifest is to be written.
    pub(crate) fn records(&self) -> bool {
        self.record
    }

    /// Who reads the cache, in words.
    pub(crate) fn installer(&self) -> String {
        self.reader.user().map_or_else(|| "this user".to_owned(), |user| format!("user {}", user.name))
    }

    /// Look every package up, then hash what was found where that was asked for. What cannot be done is reported beside all that
    /// was found.
    ///
    /// # Errors
    /// We may not read as who installs: 69.
    pub(crate) fn run(&self) -> Result<SurveyResult, Failure> {
        let mut setting =
            self.reader.must_act(|| CacheSettings::of(self.env, &self.reader, &self.cache_root))?;
        let (found, mut faults) = self.look_up()?;
        let cache_lock = self.reader.must_act(|| lookup::cache_lock(&self.stores))?;
        setting.places(found.iter().map(|(.., found)| found));
        let path = Manifest::path(&self.cache_root, &self.locked.sha256);
        // What is recorded now replaces what was.
        let (manifest, unusable) = match self.record {
            true => (None, None),
            false => self.manifest(&path).map_or_else(|failure| (None, Some(failure)), |it| (it, None)),
        };
        let mut hashed = Hashed::default();
        let proved = match self.hashes() {
            true => self.check_deep((&found, manifest.as_ref(), &path), &mut faults, &mut hashed),
            false => Ok(()),
        };
        let used = manifest.is_some() || hashed.recorded;
        let lacking = manifest.as_ref().map_or(0, |manifest| manifest.lacks(locked_of(&found)));
        if lacking > 0 {
            setting.manifest_lacks(&path, lacking);
        }
        if manifest.is_some_and(|manifest| manifest.knows_no_modes()) {
            setting.manifest_old(&path);
        }
        keep_first_fault(&mut faults);
        let (engine, strict) = (self.env.engine, self.args.strict);
        let blocking = faults.iter().filter(|(_, fault)| fault.blocks(false));
        let blocked = blocking.map(|(index, _)| *index).collect();
        let lock = cache_lock.as_ref().and_then(|fault| fault.path.clone());
        let gap =
            |(index, fault): (usize, Fault)| Some(fault.of(engine, self.locked.packages.get(index)?, strict));
        let mut gaps: Vec<Gap> = faults.into_iter().filter_map(gap).collect();
        let find_links = "the environment has find-links, which pixi reads before it installs";
        let find_links = self.locked.find_links.then(|| Fault::unprovable(find_links));
        gaps.extend(find_links.map(|fault| fault.of_none(engine, ("find-links", "pypi"), strict)));
        gaps.extend(cache_lock.map(|fault| fault.of_none(engine, (".cache.lock", "conda"), strict)));
        let cache = self.cache(&hashed, gaps.len() as u64, used.then_some(path));
        let failure = unusable.or(proved.err());
        Ok(SurveyResult { warnings: setting.warnings(), gaps, cache, blocked, lock, failure })
    }

    /// Hash what was found, and record it where that was asked for.
    fn check_deep(
        &self,
        (found, manifest, path): (&[Located<'_>], Option<&Manifest>, &Path),
        faults: &mut Vec<(usize, Fault)>,
        hashed: &mut Hashed,
    ) -> Result<(), Failure> {
        // What is missing already leaves nothing to record.
        if self.record && !self.blocked(faults) {
            replaceable(path).map_err(|error| unrecorded(path, &error))?;
        }
        let why = match (self.args.record, self.record) {
            (true, _) => "as --record asks",
            (false, true) => "as it was filled just now",
            (false, false) => "as the command line asks",
        };
        log::info!("hashes the files of {} packages, {why}", found.len());
        let mut proof = DeepCheck::of(found, &self.effort())?;
        log::info!("{} of {} bytes had to be read", proof.hashed_bytes, proof.bytes());
        (hashed.bytes, hashed.read_bytes) = (proof.bytes(), Some(proof.hashed_bytes));
        faults.extend(proof.faults(manifest)?);
        if self.record && !self.blocked(faults) {
            log::info!("no gap blocks: writes the manifest {}", path.display());
            self.record(path, &proof)?;
            hashed.recorded = true;
        }
        Ok(())
    }

    /// Whether the cache is not whole.
    fn blocked(&self, faults: &[(usize, Fault)]) -> bool {
        let strict = self.args.strict;
        faults.iter().any(|(_, fault)| fault.blocks(strict)) || strict && self.locked.find_links
    }

    fn look_up(&self) -> Result<LookedUp<'_>, Failure> {
        let mut faults = self.locked.collisions();
        let collided: Vec<usize> = faults.iter().map(|(index, _)| *index).collect();
        let packages = self.locked.packages.iter().enumerate();
        let mut looked: Vec<_> = packages
            .filter(|(index, _)| !collided.contains(index))
            .map(|(index, package)| (index, package, Lookup::default()))
            .collect();
        let look = |(): &mut (), (_, package, place): &mut (usize, &Package, Lookup)| {
            *place = look_up(&self.stores, package);
        };
        let (count, stores) = (looked.len(), self.cache_root.display());
        log::info!("looks {count} packages of {} up in {stores}", self.locked.environment);
        let done = self.pool().each(&mut looked, || (), look);
        done.map_err(|error| self.reader.refused(&error))?;
        let mut found = Vec::new();
        for (index, package, Lookup { found: places, fault }) in looked {
            found.extend(places.into_iter().map(|place| (index, package, place)));
            faults.extend(fault.map(|fault| (index, fault)));
        }
        Ok((found, faults))
    }

    fn pool(&self) -> Pool<'_> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Pool { jobs: self.args.jobs.unwrap_or_else(cores), reader: &self.reader }
    }

    fn hashes(&self) -> bool {
        let args = self.args;
        args.deep || self.record || args.since.is_some() || args.export_channel.is_some()
    }

    fn effort(&self) -> HashOptions<'_> {
        HashOptions { pool: self.pool(), note: self.args.since.as_deref(), all: self.args.deep }
    }

    fn manifest(&self, path: &Path) -> Result<Option<Manifest>, Failure> {
        self.reader.must_act(|| Manifest::read(path, &self.locked.sha256))?.map_err(|error| {
            let what = format!("cannot use the manifest {}", path.display());
            match error.raw_os_error() {
                Some(_) => Failure::io(Code::Unmet, what, &error),
                None => Failure::io(Code::Input, what, &error)
                    .hint("write it again with icache --record, or remove it"),
            }
        })
    }

    fn record(&self, path: &Path, proof: &DeepCheck<'_>) -> Result<(), Failure> {
        let packages = proof.recorded().map_err(|(unread, cause)| {
            let what = format!("cannot write the manifest {}", path.display());
            Failure::new(Code::Unmet, what, format!("{}: {cause}", unread.display()))
                .hint("make it readable, or remove it where no package lists it")
        })?;
        let manifest = Manifest::new(&self.locked, self.pixi_version.clone(), packages);
        manifest.write(path).map_err(|error| unrecorded(path, &error))
    }

    fn cache(&self, hashed: &Hashed, gaps: u64, manifest: Option<PathBuf>) -> Cache {
        Cache {
            engine: self.env.engine,
            lock_sha256: self.locked.sha256.clone(),
            platform: self.locked.platforms.join(","),
            pixi_env: self.locked.environment.clone(),
            packages: self.locked.packages.len() as u64,
            bytes: hashed.bytes,
            hashed_bytes: hashed.read_bytes,
            depth: if hashed.read_bytes.is_some() { "deep" } else { "quick" }.to_owned(),
            gaps,
            manifest,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

/// Packages of the lock file, without what was built of them.
fn locked_of<'p>(found: &'p [Located<'p>]) -> impl Iterator<Item = (&'p Package, &'p CacheEntry)> {
    let of_lock = |found: &&CacheEntry| !matches!(found, CacheEntry::Built { .. });
    found.iter().map(|(_, package, found)| (*package, found)).filter(move |(_, found)| of_lock(found))
}

/// In the order of the lock file; what cannot be proved of a package is not reported where something is wrong with it.
fn keep_first_fault(faults: &mut Vec<(usize, Fault)>) {
    faults.sort_by_key(|(index, fault)| (*index, !fault.blocks(false)));
    faults.dedup_by(|later, earlier| later.0 == earlier.0);
}

fn unrecorded(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(Code::Unmet, format!("cannot write the manifest {}", path.display()), error)
        .hint("run --record as a user who may write the cache's root")
}
