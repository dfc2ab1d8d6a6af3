//! What crosses between a connected machine and an offline one: lists out, files in, and damaged packages out of the way.
use crate::args::Args;
use crate::export;
use crate::import::{self, Fetched};
use crate::place::replace;
use crate::survey::{Survey, SurveyResult};
use bundle::{Inventory, PackageFile, inventory};
use lock::Package;
use record::Warning;
use rustix::fs::Access;
use std::io;
use std::path::Path;
use store::{Quarantine, lock_cache, lock_cache_if_present};
use tool::{Code, Failure};

/// The rule of a warning of a file that was not taken in.
pub(crate) const NOT_IMPORTED: &str = "not_brought";

/// The rule of a warning that says where what was damaged lies now.
pub(crate) const SET_ASIDE: &str = "set_aside";

/// One engine's cache, and what is asked of it.
pub(crate) struct Transfer<'a> {
    pub(crate) args: &'a Args,
    pub(crate) survey: &'a Survey<'a>,
}

impl Transfer<'_> {
    /// Take in what the cache lacks, where that was asked for. Whether anything was.
    ///
    /// # Errors
    /// The cache cannot be written, or somebody installs from it: 69 or 75.
    pub(crate) fn import(&self, result: &mut SurveyResult) -> Result<bool, Failure> {
        let Some(dir) = &self.args.bring else { return Ok(false) };
        let root = &self.survey.cache_root;
        let what = || format!("cannot bring {} into the cache {}", dir.display(), root.display());
        self.survey.reader.must_act(|| readable(dir))?.map_err(|error| {
            let failure = Failure::io(Code::Unmet, format!("cannot read {}", dir.display()), &error);
            match error.kind() {
                io::ErrorKind::NotADirectory => failure.hint("unpack it with tar, and name the folder"),
                _ => failure,
            }
        })?;
        let stores = &self.survey.stores;
        let brought = self.survey.reader.must_act(|| -> io::Result<_> {
            let _lock = lock_cache(&stores.pkgs)?;
            let mut aside = Quarantine::of(root);
            let (mut count, mut failed) = (0, Vec::new());
            for package in self.blocked(result) {
                match take(dir, package, self.survey, &mut aside) {
                    Ok(taken) => count += usize::from(taken),
                    Err(error) => failed.push((package.name().to_owned(), error)),
                }
            }
            Ok((count, failed, aside.folder().map(Path::to_owned)))
        })?;
        let (count, failed, folder) = brought.map_err(|error| unlocked(what(), &error))?;
        log::info!("took {count} packages from {}", dir.display());
        if let Some(folder) = folder.filter(|_| !failed.is_empty()) {
            self.warn_of(result, &folder);
        }
        for (name, error) in failed {
            let what = format!("{name} was not brought: {}", tool::io_text(&error));
            self.warn(result, NOT_IMPORTED, what, "fetch it again, by the list that --missing writes");
        }
        Ok(count > 0)
    }

    /// Move what is damaged out of the way, where that was asked for. Whether nothing stands in pixi's way any more.
    ///
    /// # Errors
    /// It cannot be moved, or somebody installs from the cache: 69 or 75.
    pub(crate) fn repair(&self, result: &mut SurveyResult) -> Result<bool, Failure> {
        if !self.args.repair {
            return Ok(false);
        }
        let (root, stores) = (&self.survey.cache_root, &self.survey.stores);
        let moved = self.survey.reader.must_act(|| {
            let mut aside = Quarantine::of(root);
            let lock = result
                .lock
                .as_deref()
                .map_or(Ok(()), |lock| aside.move_in(lock).map_err(|error| (lock.to_owned(), error)));
            let all = lock.and_then(|()| {
                let _held = lock_cache_if_present(&stores.pkgs)
                    .map_err(|error| (stores.pkgs.join(".cache.lock"), error))?;
                self.blocked(result)
                    .into_iter()
                    .try_for_each(|package| aside.package((&stores.pkgs, &stores.wheels), package))
            });
            (all, aside.folder().map(Path::to_owned))
        })?;
        let (all, folder) = moved;
        if let Some(folder) = folder {
            self.warn_of(result, &folder);
        }
        all.map_err(|(path, error)| unlocked(format!("cannot move {}", path.display()), &error))?;
        Ok(true)
    }

    /// Write the lists that were asked for.
    ///
    /// # Errors
    /// One cannot be written, or that of the other side not be read: 65 or 69.
    pub(crate) fn write_lists(&self, result: &SurveyResult) -> Result<(), Failure> {
        if let Some(path) = &self.args.have {
            let whole = self.packages().filter(|(index, _)| !result.blocked.contains(index));
            let files = whole.filter_map(|(_, package)| PackageFile::of(package)).collect();
            write(path, inventory::list(files))?;
        }
        let Some(path) = &self.args.missing else { return Ok(()) };
        let mut files: Vec<PackageFile> =
            self.blocked(result).into_iter().filter_map(PackageFile::of).collect();
        if let Some(known) = &self.args.known {
            let known = Inventory::read(known)?;
            files.retain(|file| !known.has(file));
        }
        for (end, text) in [(".curl", inventory::curl(&files)), (".aria2", inventory::aria2(&files))] {
            let mut beside = path.as_os_str().to_owned();
            beside.push(end);
            write(Path::new(&beside), Ok(text.into_bytes()))?;
        }
        write(path, inventory::list(files))
    }

    /// Make a mirror of a cache that is whole, where that was asked for.
    ///
    /// # Errors
    /// It cannot be written, or another is at work there: 69 or 75.
    pub(crate) fn export(&self, result: &mut SurveyResult) -> Result<(), Failure> {
        let whole = result.failure.is_none() && !result.gaps.iter().any(|gap| gap.blocks);
        let Some(dir) = self.args.export_channel.as_ref().filter(|_| whole) else { return Ok(()) };
        let packages = self.packages().map(|(_, package)| package);
        let left = self.survey.reader.must_act(|| export::export(dir, &self.survey.stores, packages))?;
        let left = left.map_err(|error| unlocked(format!("cannot export to {}", dir.display()), &error))?;
        if !left.is_empty() {
            let names: Vec<String> = left.into_iter().map(export::what).collect();
            let what = format!("not in the mirror {}: {}", dir.display(), names.join(", "));
            self.warn(result, "not_exported", what, "a cache has no archive of these; bring them by hand");
        }
        Ok(())
    }

    fn packages(&self) -> impl Iterator<Item = (usize, &Package)> {
        self.survey.locked.packages.iter().enumerate()
    }

    fn blocked(&self, result: &SurveyResult) -> Vec<&Package> {
        let blocked = self.packages().filter(|(index, _)| result.blocked.contains(index));
        blocked.map(|(_, package)| package).collect()
    }

    /// Where what was damaged lies now.
    fn warn_of(&self, result: &mut SurveyResult, folder: &Path) {
        let what = format!("what is damaged was moved to {}", folder.display());
        self.warn(result, SET_ASIDE, what, "iwarm fetches it again; the folder can be removed");
    }

    fn warn(&self, result: &mut SurveyResult, rule: &str, what: String, hint: &str) {
        let (engine, hint) = (Some(self.survey.engine()), hint.to_owned());
        result.warnings.push(Warning { engine, instance: None, rule: rule.to_owned(), what, hint });
    }
}

/// The failure to do something. Somebody who is at work there is done some time.
fn unlocked(what: String, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::WouldBlock {
        return Failure::io(Code::Later, what, error).hint("run again when that is done");
    }
    Failure::io(Code::Unmet, what, error)
}

/// Whether it is a folder that can be looked into.
fn readable(dir: &Path) -> io::Result<()> {
    match owner::metadata(dir)?.is_dir() {
        true => Ok(rustix::fs::access(dir, Access::READ_OK | Access::EXEC_OK)?),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// Whether the file of a package is there and was taken in.
fn take(dir: &Path, package: &Package, survey: &Survey<'_>, aside: &mut Quarantine) -> io::Result<bool> {
    let Some(fetched) = Fetched::find(dir, package)? else { return Ok(false) };
    aside.package((&survey.stores.pkgs, &survey.stores.wheels), package).map_err(|(path, error)| {
        io::Error::new(error.kind(), format!("{}: {}", path.display(), tool::io_text(&error)))
    })?;
    import::take(&fetched, &survey.stores, package)?;
    Ok(true)
}

fn write(path: &Path, content: io::Result<Vec<u8>>) -> Result<(), Failure> {
    content
        .and_then(|content| replace(path, &content))
        .map_err(|error| Failure::io(Code::Unmet, format!("cannot write {}", path.display()), &error))
}
