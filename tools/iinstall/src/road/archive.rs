//! The archive road: hash and unpack in one read, normalise, check, complete, flip.
use crate::package;
use crate::road::copy;
use crate::road::existing::find_existing;
use crate::road::method::{Options, Road};
use crate::source::OpenSource;
use archive::{ArchiveError, HEAD, Kind, Root};
use install::{Attempt, Install, InstallRoot, RootLock, refused};
use record::{Installed, Seal, Source, Warning};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use tool::{Code, Failure, vars};

/// The archive road, its source open.
#[derive(Debug)]
pub(crate) struct ArchiveRoad<'a> {
    pub(crate) options: Options<'a>,
    pub(crate) source: OpenSource,
}

impl Road for ArchiveRoad<'_> {
    fn find_existing(&self, root: &InstallRoot) -> Result<Option<Install>, Failure> {
        find_existing(&self.source, &self.options, root, |sha256| self.check_sha256(sha256))
    }

    fn build(
        &self,
        root: &InstallRoot,
        previous: Option<&Install>,
        lock: &RootLock,
    ) -> Result<(Install, Vec<Warning>), Failure> {
        let attempt = Attempt::begin(root, lock)?;
        let content = attempt.folder().join("content");
        std::fs::create_dir(&content).map_err(|error| refused(&content, &error))?;
        let (sha256, unpacked) = self.read(&content, root)?;
        let failure = |error| self.failure(error);
        let normal = package::normalise(attempt.folder(), &content).map_err(failure)?;
        let symlinks = package::resolve_links(&normal).map_err(failure)?;
        let report = package::check(&normal).map_err(failure)?;

        let mut checks = BTreeMap::from([
            ("files".to_owned(), json!(unpacked.files)),
            ("bytes".to_owned(), json!(unpacked.bytes)),
            ("symlinks".to_owned(), json!(symlinks)),
        ]);
        checks.extend(report.libraries.map(|count| ("libraries".to_owned(), json!(count))));
        checks.extend(report.interpreter.map(|path| ("interpreter".to_owned(), json!(path))));
        let path = attempt.destination(&sha256);
        let install = Install::new(
            Installed {
                engine: self.options.env.engine,
                id: sha256,
                executable: Some(path.join(package::SERVER)),
                library_dir: Some(path.join("bin")),
                path,
                python: None,
                activation: None,
                checks,
                previous: previous.map(|previous| previous.path.clone()),
                source: Some(self.source.fingerprint.clone()),
                seal: Seal::None,
                seconds: self.options.begun.elapsed().as_secs_f64(),
                reused: false,
                switched: false,
            },
            record::Road::Archive,
        );
        attempt.complete(&normal, &install)?;
        Ok((install, report.warnings))
    }

    fn fingerprint(&self) -> Option<&Source> {
        Some(&self.source.fingerprint)
    }

    fn keep_copy(&self, sha256: &str) -> Option<Warning> {
        let folder = self.options.env.archive_cache_dir.as_ref()?;
        let mut head = [0; HEAD];
        let read = std::os::unix::fs::FileExt::read_at(&self.source.file, &mut head, 0).unwrap_or(0);
        let extension = Kind::of(&head[..read]).ok()?.extension();
        let copy = folder.join(format!("{sha256}.{extension}"));
        let error = copy::keep(&self.source, &copy).err()?;
        Some(Warning {
            engine: Some(self.options.env.engine),
            instance: None,
            rule: "archive_copy".to_owned(),
            what: format!(
                "cannot keep a copy of the archive as {}: {}",
                copy.display(),
                tool::io_text(&error)
            ),
            hint: format!(
                "make room or give access, or set {} to another folder",
                vars::of(self.options.env.engine, "PKG_CACHE_DIR")
            ),
        })
    }
}

impl ArchiveRoad<'_> {
    /// The one read, and that it was of the archive that was asked for.
    fn read(&self, into: &Path, root: &InstallRoot) -> Result<(String, Root), Failure> {
        let failure = |error| self.failure(error);
        let mut into = Root::at(into, &root.path).map_err(failure)?;
        let bar =
            tool::bytes_bar(&format!("unpacking {}", self.source.name()), self.source.fingerprint.size_bytes);
        let sha256 = archive::unpack(&self.source.file, &mut into, &bar).map_err(failure)?;
        bar.finish_and_clear();
        self.source.unchanged()?;
        self.check_sha256(&sha256)?;
        Ok((sha256, into))
    }

    /// Refuse an archive that is not the one that was named.
    fn check_sha256(&self, sha256: &str) -> Result<(), Failure> {
        let Some(wanted) =
            self.options.env.sha256.as_ref().filter(|wanted| !wanted.eq_ignore_ascii_case(sha256))
        else {
            return Ok(());
        };
        let what =
            format!("{} is not the archive that was asked for", self.source.fingerprint.path.display());
        let name = vars::of(self.options.env.engine, "PKG_SHA256");
        let hint =
            format!("{name} names another one, or the file was damaged on its way; copy it here again");
        Err(Failure::new(Code::Input, what, format!("its sha256 is {sha256}, not {wanted}")).hint(hint))
    }

    fn failure(&self, error: ArchiveError) -> Failure {
        error.failure(format!("cannot install {}", self.source.fingerprint.path.display()))
    }
}
