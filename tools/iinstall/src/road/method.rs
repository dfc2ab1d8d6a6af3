//! A road: a method of making an install.
use install::{Install, InstallRoot, RootLock};
use record::{Env, Source, Warning};
use std::time::{Duration, Instant};
use tool::Failure;

/// What was asked for, whatever the road.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options<'a> {
    pub(crate) env: &'a Env,
    pub(crate) rehash: bool,
    pub(crate) keep: usize,
    /// A script that we cannot read may run itself.
    pub(crate) run_sh: bool,
    pub(crate) begun: Instant,
    /// How long to wait for whoever holds a lock.
    pub(crate) timeout: Duration,
}

/// A road, its source open.
pub(crate) trait Road {
    /// The install that this very source made before.
    fn find_existing(&self, root: &InstallRoot) -> Result<Option<Install>, Failure>;

    /// Make one: complete and not yet current. `previous` is what is current now.
    fn build(
        &self,
        root: &InstallRoot,
        previous: Option<&Install>,
        lock: &RootLock,
    ) -> Result<(Install, Vec<Warning>), Failure>;

    /// Verify an install that is used again by what there is now to compare it with, and say so in its record.
    fn reverify(&self, _install: &mut Install) -> Result<Vec<Warning>, Failure> {
        Ok(Vec::new())
    }

    /// How the source looks now, where it is a file.
    fn fingerprint(&self) -> Option<&Source> {
        None
    }

    /// Keep a copy of the source, which has this sha256, where one is wanted. An engine is installed without it just as well.
    fn keep_copy(&self, _sha256: &str) -> Option<Warning> {
        None
    }
}
