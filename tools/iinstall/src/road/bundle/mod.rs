//! The bundle road: unpack and hash in one read, prove, then let pixi-unpack make the environment where it will live.
mod form;
mod maker;
mod trust;
mod unpacker;

use crate::environment;
use crate::road::existing::find_existing;
use crate::road::method::{Options, Road};
use crate::sealed::Sealed;
use crate::source::{OpenSource, Sidecar};
use archive::{ArchiveError, Root};
use form::Form;
use install::{Attempt, Install, InstallRoot, RootLock, refused};
use maker::Maker;
use record::{Env, Installed, Source, Warning};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};
use trust::{TrustReport, TrustSources};

/// What an attempt holds beside the environment as long as it is made.
const MEMBERS: &str = ".bundle";
const EMBEDDED: &str = ".pixi-unpack";
const TMP: &str = ".tmp";

/// The bundle road, its source open.
#[derive(Debug)]
pub(crate) struct BundleRoad<'a> {
    options: Options<'a>,
    source: OpenSource,
    /// What there is to compare it with.
    trust: TrustSources<'a>,
}

impl Road for BundleRoad<'_> {
    fn find_existing(&self, root: &InstallRoot) -> Result<Option<Install>, Failure> {
        let check_sha256 = |sha256: &str| self.trust.whole(sha256).map(drop);
        find_existing(&self.source, &self.options, root, check_sha256)
    }

    fn reverify(&self, install: &mut Install) -> Result<Vec<Warning>, Failure> {
        let members = install.members();
        self.trust.reverify(&mut install.record, &members)
    }

    fn build(
        &self,
        root: &InstallRoot,
        previous: Option<&Install>,
        lock: &RootLock,
    ) -> Result<(Install, Vec<Warning>), Failure> {
        let mut attempt = Attempt::begin(root, lock)?;
        let checked = self.check(&attempt, root)?;
        attempt.move_into_place(&checked.sha256)?;
        let sealed = Sealed::new(lock)?;
        let made = self.make(attempt.folder(), &checked, &sealed)?;

        let path = attempt.folder().to_owned();
        let VerifiedBundle { sha256, mut proof, .. } = checked;
        proof.checks.extend(made.checks);
        let record = Installed {
            engine: self.env().engine,
            id: sha256,
            python: Some(made.python),
            activation: Some(made.activation),
            path,
            executable: None,
            library_dir: None,
            checks: proof.checks,
            previous: previous.map(|previous| previous.path.clone()),
            source: Some(self.source.fingerprint.clone()),
            seal: sealed.seal(),
            seconds: self.options.begun.elapsed().as_secs_f64(),
            reused: false,
            switched: false,
        };
        let mut install = Install::new(record, record::Road::Bundle).of_members(&proof.members);
        if let Some(version) = proof.pixi_pack {
            install = install.made_by("pixi-pack", &version);
        }
        attempt.finish(&install)?;
        let warnings = proof.warnings.into_iter().chain(made.warnings);
        Ok((install, warnings.chain(sealed.warning(self.env().engine)).collect()))
    }

    fn fingerprint(&self) -> Option<&Source> {
        Some(&self.source.fingerprint)
    }
}

/// A bundle that was found to be the right one.
struct VerifiedBundle {
    sha256: String,
    proof: TrustReport,
    maker: EnvironmentMaker,
}

/// What makes its environment. A name inside the attempt is still to be found: the attempt moves.
enum EnvironmentMaker {
    Script(Maker),
    Embedded,
    Program(PathBuf),
}

/// An environment that was made and works.
struct MadeEnvironment {
    python: PathBuf,
    activation: record::Activation,
    checks: BTreeMap<String, Value>,
    warnings: Vec<Warning>,
}

impl<'a> BundleRoad<'a> {
    /// Read what there is to compare the bundle with, and refuse at once what that rules out.
    pub(super) fn new(
        options: Options<'a>,
        source: OpenSource,
        manifest: Sidecar,
        lock: Sidecar,
    ) -> Result<Self, Failure> {
        let trust = TrustSources::read(options.env, &source.fingerprint, manifest, lock)?;
        Ok(Self { options, source, trust })
    }

    fn env(&self) -> &Env {
        self.options.env
    }

    /// Unpack the members into the attempt, and prove them. Where nothing could make an environment of them, neither.
    fn check(&self, attempt: &Attempt<'_>, root: &InstallRoot) -> Result<VerifiedBundle, Failure> {
        let trust = &self.trust;
        let failure = |error| self.failure(error);
        let form = Form::of(&self.source.file).map_err(failure)?;
        if form == Form::Script
            && self.options.run_sh
            && !form::is_known_script(&self.source.file).map_err(failure)?
        {
            let sha256 = self.source.hash()?;
            let proof = trust.whole(&sha256)?;
            let maker = Maker::script(&self.source.fingerprint.path, &self.source.file)?;
            return Ok(VerifiedBundle { sha256, proof, maker: EnvironmentMaker::Script(maker) });
        }
        let program = self.program(form)?;
        let members = attempt.folder().join(MEMBERS);
        let embedded = attempt.folder().join(EMBEDDED);
        std::fs::create_dir(&members).map_err(|error| refused(&members, &error))?;
        let mut into = Root::at(&members, &root.path)
            .and_then(|root| root.of_hashed_files("a link, which no bundle has"))
            .map_err(failure)?;
        // At least so much comes out of it.
        let size = self.source.fingerprint.size_bytes;
        into.admit(if form == Form::Script { size / 4 * 3 } else { size }).map_err(failure)?;
        let bar = tool::bytes_bar(&format!("unpacking {}", self.source.name()), size);
        let unpacked = form.unpack(&self.source.file, &mut into, &embedded, &bar);
        let (sha256, unpacked) = unpacked.map_err(failure)?;
        bar.finish_and_clear();
        self.source.unchanged()?;
        let proof = trust.all(&sha256, &unpacked, &members)?;
        let maker = match program {
            Some(program) => EnvironmentMaker::Program(program),
            None => unpacker::fits(&embedded, &self.what()).map(|()| EnvironmentMaker::Embedded)?,
        };
        Ok(VerifiedBundle { sha256, proof, maker })
    }

    /// The pixi-unpack of this machine that is to be used; `None` for the bundle's own, before which only one goes that was
    /// named.
    fn program(&self, form: Form) -> Result<Option<PathBuf>, Failure> {
        if form == Form::Script && self.env().pixi_unpack.is_none() {
            return Ok(None);
        }
        let missing = || unpacker::missing(self.env(), "the bundle carries none, and it is not on PATH");
        let program = unpacker::here(self.env())?.ok_or_else(missing)?;
        unpacker::must_run(&program, self.env()).map(|()| Some(program))
    }

    /// Make the environment in the attempt, which has settled, and see that it works.
    fn make(
        &self,
        attempt: &Path,
        checked: &VerifiedBundle,
        sealed: &Sealed<'_>,
    ) -> Result<MadeEnvironment, Failure> {
        let tmp = attempt.join(TMP);
        std::fs::create_dir(&tmp).map_err(|error| refused(&tmp, &error))?;
        let (members, embedded) = (attempt.join(MEMBERS), attempt.join(EMBEDDED));
        let unpacker;
        let maker = match &checked.maker {
            EnvironmentMaker::Script(script) => script,
            EnvironmentMaker::Embedded => {
                unpacker = Maker::Unpacker(embedded.clone(), members.clone());
                &unpacker
            }
            EnvironmentMaker::Program(program) => {
                unpacker = Maker::Unpacker(program.clone(), members.clone());
                &unpacker
            }
        };
        let mut command = sealed.command(maker.program())?;
        maker.prepare(&mut command.command, attempt, &tmp);
        let ended = sealed.run(command, &format!("installing {}", self.source.name()))?;
        if !ended.status.success() {
            let failure = ended.failure(self.what());
            let lacks = matches!(ended.why().kind, pixi::Kind::Offline | pixi::Kind::Download(_));
            let hint = match lacks {
                true => Some("the bundle lacks it; pack it again".to_owned()),
                false => failure.hint.clone().or(unpacker::broken(self.env(), ended.status.code())),
            };
            return Err(self.with_space(Failure { hint, ..failure }, attempt));
        }
        for path in [&members, &embedded, &tmp] {
            remove(path).map_err(|error| refused(path, &error))?;
        }
        let missing = |path: &Path| {
            let cause = format!("{} made no {}", maker.program().display(), path.display());
            let mut failure = Failure::new(Code::Unmet, self.what(), cause);
            failure.log_tail.clone_from(&ended.tail);
            failure
        };
        let python = attempt.join(maker::NAME).join("bin/python");
        let script = attempt.join("activate.sh");
        if let Some(path) = [&python, &script].into_iter().find(|path| !path.is_file()) {
            return Err(missing(path));
        }
        let activation = environment::from_script(sealed, &script)?;
        let mut checks = BTreeMap::new();
        let distributions = checked.proof.distributions();
        let locked = (&activation, distributions.as_slice());
        let warnings = environment::check(sealed, self.env().engine, &python, locked, &mut checks)?;
        Ok(MadeEnvironment { python, activation, checks, warnings })
    }

    /// pixi-unpack does not say that a disk is full: so where little is free, the failure says that.
    fn with_space(&self, mut failure: Failure, attempt: &Path) -> Failure {
        let Ok(disk) = rustix::fs::statvfs(attempt) else { return failure };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < self.source.fingerprint.size_bytes.saturating_mul(2)
            || disk.f_files > 0 && disk.f_favail == 0
        {
            let place = attempt.display();
            failure.cause.push_str(&format!("; {} MiB are free on the disk of {place}", free >> 20));
            failure.hint.get_or_insert_with(|| "make room on its disk, or use another one".to_owned());
        }
        failure
    }

    fn what(&self) -> String {
        format!("cannot install {}", self.source.fingerprint.path.display())
    }

    fn failure(&self, error: ArchiveError) -> Failure {
        error.failure(self.what())
    }
}

/// Remove a folder or file that may not be there.
fn remove(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(stat) if stat.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
