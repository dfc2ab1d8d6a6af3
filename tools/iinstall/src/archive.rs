//! The archive road: hash and unpack in one read, normalise, check, complete, flip.
use crate::copy;
use crate::home::{Attempt, Home, HomeLock, Install, now, refused};
use crate::package;
use crate::source::OpenSource;
use crate::unpack::{self, HEAD, Kind, Root, Trouble};
use record::{Env, Installed, Road, Seal, Warning};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tool::{Code, Failure, vars};

/// What the archive road was asked to do.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    pub(crate) env: &'a Env,
    pub(crate) source: OpenSource,
    pub(crate) rehash: bool,
    pub(crate) keep: usize,
    pub(crate) begun: Instant,
}

/// What came of it.
pub(crate) type Done = (Installed, Vec<Warning>);

impl Archive<'_> {
    /// Make the archive the current install of `home`, whatever of that is still to be done.
    pub(crate) fn install(&self, home: &Home, lock: &HomeLock) -> Result<Done, Failure> {
        home.sweep(lock);
        let current = home.current().unwrap_or_else(|failure| {
            log::warn!("{}: {}", failure.what, failure.cause);
            None
        });
        let (install, mut warnings) = match self.existing(home)? {
            Some(install) => (self.reuse(home, install, current.as_ref(), lock)?, Vec::new()),
            None => self.unpack(home, current.as_ref(), lock)?,
        };
        warnings.extend(home.link(self.env.engine, lock)?);
        home.prune(&install, self.keep, lock);
        warnings.extend(self.keep_copy(&install.record.id));
        let mut installed = install.record;
        installed.seconds = self.begun.elapsed().as_secs_f64();
        Ok((installed, warnings))
    }

    /// The install that this very archive made before: known by its file's looks, or, where one of that size is
    /// installed, by its hash.
    fn existing(&self, home: &Home) -> Result<Option<Install>, Failure> {
        if self.env.force {
            return Ok(None);
        }
        let looks = &self.source.looks;
        let mut complete = home.complete();
        complete.retain(Install::is_whole);
        let same = |install: &&Install| install.record.source.as_ref() == Some(looks);
        if let Some(install) = complete.iter().find(same).filter(|_| !self.rehash) {
            self.demand(&install.record.id)?;
            return Ok(Some(install.clone()));
        }
        let size = |install: &Install| install.record.source.as_ref().map(|source| source.size_bytes);
        if !complete.iter().any(|install| size(install) == Some(looks.size_bytes)) {
            return Ok(None);
        }
        let bar = tool::bytes_bar(&format!("hashing {}", self.source.name()), looks.size_bytes);
        let hashed = unpack::hash(&self.source.file, &bar).map_err(|trouble| self.trouble(trouble))?;
        bar.finish_and_clear();
        self.source.unchanged()?;
        self.demand(&hashed)?;
        Ok(complete.into_iter().find(|install| install.record.id == hashed))
    }

    /// Make an install that is there current, and remember how its archive looks now.
    fn reuse(
        &self,
        home: &Home,
        mut install: Install,
        current: Option<&Install>,
        lock: &HomeLock,
    ) -> Result<Install, Failure> {
        let others = current.filter(|current| current.name() != install.name());
        let is_current = current.is_some() && others.is_none();
        if let Some(current) = others {
            install.record.previous = Some(current.path.clone());
        }
        if others.is_some() || install.record.source.as_ref() != Some(&self.source.looks) {
            install.record.source = Some(self.source.looks.clone());
            install.write().map_err(|error| refused(&install.path, &error))?;
        }
        if !is_current {
            home.activate(&install, lock)?;
        }
        install.record.reused = true;
        Ok(install)
    }

    fn unpack(
        &self,
        home: &Home,
        current: Option<&Install>,
        lock: &HomeLock,
    ) -> Result<(Install, Vec<Warning>), Failure> {
        let attempt = Attempt::begin(home, lock)?;
        let content = attempt.folder().join("content");
        std::fs::create_dir(&content).map_err(|error| refused(&content, &error))?;
        let (sha256, root) = self.read(&content, home)?;
        let trouble = |trouble| self.trouble(trouble);
        let normal = package::normalise(attempt.folder(), &content).map_err(trouble)?;
        let symlinks = package::resolve_links(&normal).map_err(trouble)?;
        let report = package::check(&normal).map_err(trouble)?;

        let mut checks = BTreeMap::from([
            ("files".to_owned(), json!(root.files)),
            ("bytes".to_owned(), json!(root.bytes)),
            ("symlinks".to_owned(), json!(symlinks)),
        ]);
        checks.extend(report.libraries.map(|count| ("libraries".to_owned(), json!(count))));
        checks.extend(report.interpreter.map(|path| ("interpreter".to_owned(), json!(path))));
        let path = attempt.destination(&sha256);
        let install = Install::new(
            Installed {
                engine: self.env.engine,
                id: sha256,
                executable: Some(path.join(package::SERVER)),
                library_dir: Some(path.join("bin")),
                path,
                python: None,
                activation: None,
                checks,
                previous: current.map(|current| current.path.clone()),
                source: Some(self.source.looks.clone()),
                seal: Seal::None,
                seconds: self.begun.elapsed().as_secs_f64(),
                reused: false,
            },
            Road::Archive,
            now(),
        );
        attempt.complete(&normal, &install)?;
        home.activate(&install, lock)?;
        Ok((install, report.warnings))
    }

    /// The one read, and that it was of the archive that was asked for.
    fn read(&self, into: &Path, home: &Home) -> Result<(String, Root), Failure> {
        let trouble = |trouble| self.trouble(trouble);
        let mut root = Root::at(into, &home.path).map_err(trouble)?;
        let bar = tool::bytes_bar(&format!("unpacking {}", self.source.name()), self.source.looks.size_bytes);
        let sha256 = unpack::unpack(&self.source.file, &mut root, &bar).map_err(trouble)?;
        bar.finish_and_clear();
        self.source.unchanged()?;
        self.demand(&sha256)?;
        Ok((sha256, root))
    }

    /// Refuse an archive that is not the one that was named.
    fn demand(&self, sha256: &str) -> Result<(), Failure> {
        let Some(wanted) = self.env.sha256.as_ref().filter(|wanted| !wanted.eq_ignore_ascii_case(sha256))
        else {
            return Ok(());
        };
        let what = format!("{} is not the archive that was asked for", self.source.looks.path.display());
        let name = vars::of(self.env.engine, "PKG_SHA256");
        let hint =
            format!("{name} names another one, or the file was damaged on its way; copy it here again");
        Err(Failure::new(Code::Input, what, format!("its sha256 is {sha256}, not {wanted}")).hint(hint))
    }

    /// A copy for the next time, where one is wanted. An engine is installed without it just as well.
    fn keep_copy(&self, sha256: &str) -> Option<Warning> {
        let folder = self.env.archive_cache_dir.as_ref()?;
        let mut head = [0; HEAD];
        let read = std::os::unix::fs::FileExt::read_at(&self.source.file, &mut head, 0).unwrap_or(0);
        let extension = Kind::of(&head[..read]).ok()?.extension();
        let copy = folder.join(format!("{sha256}.{extension}"));
        let error = copy::keep(&self.source, &copy).err()?;
        Some(Warning {
            engine: Some(self.env.engine),
            instance: None,
            rule: "archive_copy".to_owned(),
            what: format!(
                "cannot keep a copy of the archive as {}: {}",
                copy.display(),
                tool::io_text(&error)
            ),
            hint: format!(
                "make room or give access, or set {} to nothing",
                vars::of(self.env.engine, "PKG_CACHE_DIR")
            ),
        })
    }

    fn trouble(&self, trouble: Trouble) -> Failure {
        trouble.failure(format!("cannot install {}", self.source.looks.path.display()))
    }
}
