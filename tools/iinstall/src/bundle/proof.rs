//! What vouches for a bundle: the hash that was asked for, the manifest beside it, and the template's pixi.lock.
use bundle::{Manifest, Member, PackInfo, Part, Problem};
use lock::LockFile;
use record::{Env, Source, Warning};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use tool::{Code, Failure, vars};

/// All that is there to compare with.
#[derive(Debug)]
pub(super) struct Papers<'a> {
    env: &'a Env,
    source: &'a Source,
    manifest: Option<(PathBuf, Manifest)>,
    lock: Option<(PathBuf, LockFile)>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Proof {
    pub(super) checks: BTreeMap<String, Value>,
    pub(super) warnings: Vec<Warning>,
    /// The pixi-pack that made the bundle, as it says.
    pub(super) pixi_pack: Option<String>,
}

impl<'a> Papers<'a> {
    /// Read them, and refuse at once what they already rule out.
    pub(super) fn read(env: &'a Env, source: &'a Source) -> Result<Self, Failure> {
        let path = Manifest::path_for(&source.path);
        let manifest = Manifest::read(&path)?.map(|manifest| (path, manifest));
        let lock = env.template_dir.as_deref().map(read_lock).transpose()?.flatten();
        let papers = Self { env, source, manifest, lock };
        if let Some((path, manifest)) = &papers.manifest
            && manifest.size_bytes != source.size_bytes
        {
            let cause = format!(
                "it has {} bytes, and by {} it should have {}",
                source.size_bytes,
                path.display(),
                manifest.size_bytes
            );
            return Err(papers.damaged(cause));
        }
        Ok(papers)
    }

    /// The whole file alone, where its members are not known.
    pub(super) fn whole(&self, sha256: &str) -> Result<Proof, Failure> {
        self.described(sha256, &[])?;
        self.demand(sha256)?;
        Ok(self.proof(false))
    }

    /// The whole file and all that was in it. `folder` is where that is now.
    pub(super) fn all(&self, sha256: &str, members: &[Member], folder: &Path) -> Result<Proof, Failure> {
        let info = self.pack_info(members, folder)?;
        let problems = self.manifest.as_ref().map(|(_, manifest)| manifest.problems(members));
        self.described(sha256, &problems.unwrap_or_default())?;
        self.demand(sha256)?;
        self.locked(members)?;
        let mut proof = self.proof(self.lock.is_some());
        proof.pixi_pack = info.pixi_pack_version;
        let bytes: u64 = members.iter().map(|member| member.size_bytes).sum();
        let count =
            |of: fn(&Part<'_>) -> bool| members.iter().filter(|member| of(&Part::of(&member.path))).count();
        proof.checks.extend([
            ("members".to_owned(), json!(members.len())),
            ("bytes".to_owned(), json!(bytes)),
            ("conda".to_owned(), json!(count(|part| matches!(part, Part::Archive { .. })))),
            ("pypi".to_owned(), json!(count(|part| matches!(part, Part::Wheel { .. })))),
        ]);
        Ok(proof)
    }

    /// Refuse a bundle that is not the one that was named.
    fn demand(&self, sha256: &str) -> Result<(), Failure> {
        let Some(wanted) = self.env.sha256.as_ref().filter(|wanted| !wanted.eq_ignore_ascii_case(sha256))
        else {
            return Ok(());
        };
        let what = format!("{} is not the bundle that was asked for", self.source.path.display());
        let name = vars::of(self.env.engine, "BUNDLE_SHA256");
        let hint =
            format!("{name} names another one, or the file was damaged on its way; copy it here again");
        Err(Failure::new(Code::Input, what, format!("its sha256 is {sha256}, not {wanted}")).hint(hint))
    }

    /// Its own description: whether it is for us at all.
    fn pack_info(&self, members: &[Member], folder: &Path) -> Result<PackInfo, Failure> {
        let what = self.what();
        if !members.iter().any(|member| member.path == PackInfo::PATH) {
            let cause = format!("it is not a pixi-pack bundle: it has no {}", PackInfo::PATH);
            return Err(Failure::new(Code::Input, what, cause));
        }
        let path = folder.join(PackInfo::PATH);
        let bytes = std::fs::read(&path)
            .map_err(|error| Failure::io(Code::Unmet, format!("cannot read {}", path.display()), &error))?;
        let info = PackInfo::parse(&bytes, &what)?;
        info.admit(&what)?;
        Ok(info)
    }

    /// The manifest's word on the file, the members first: they say where it differs.
    fn described(&self, sha256: &str, problems: &[Problem]) -> Result<(), Failure> {
        let Some((path, manifest)) = &self.manifest else { return Ok(()) };
        let by = path.display();
        if !problems.is_empty() {
            return Err(self.damaged(format!("by {by}, {}", bundle::shown(problems))));
        }
        if !manifest.sha256.eq_ignore_ascii_case(sha256) {
            return Err(
                self.damaged(format!("its sha256 is {sha256}, and by {by} it is {}", manifest.sha256))
            );
        }
        Ok(())
    }

    fn locked(&self, members: &[Member]) -> Result<(), Failure> {
        let Some((path, lock)) = &self.lock else { return Ok(()) };
        let environment = self.env.pixi_env.as_deref().unwrap_or("default");
        let platform = lock::host_platform();
        let template = vars::of(self.env.engine, "TEMPLATE_DIR");
        let Some(found) = bundle::compare(members, lock, environment, platform) else {
            let cause = format!("{} has no environment '{environment}' for {platform}", path.display());
            let name = vars::of(self.env.engine, "PIXI_ENV");
            let hint = format!("set {name} to the environment that was packed, or unset {template}");
            return Err(Failure::new(Code::Unmet, self.what(), cause).hint(hint));
        };
        for path in &found.unproved {
            log::info!("{path} is in the lock, which has no sha256 of it");
        }
        if found.problems.is_empty() {
            return Ok(());
        }
        let cause = format!("by {}, {}", path.display(), bundle::shown(&found.problems));
        let hint = format!(
            "pack it again from this template, or point {template} at the one that it was packed from"
        );
        Err(Failure::new(Code::Input, self.what(), cause).hint(hint))
    }

    fn proof(&self, lock: bool) -> Proof {
        let by =
            [("sha256", self.env.sha256.is_some()), ("manifest", self.manifest.is_some()), ("lock", lock)];
        let proved: Vec<&str> = by.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name).collect();
        let warnings = if proved.is_empty() { vec![self.unproved()] } else { Vec::new() };
        Proof { checks: BTreeMap::from([("proved".to_owned(), json!(proved))]), warnings, pixi_pack: None }
    }

    fn unproved(&self) -> Warning {
        let manifest = Manifest::path_for(&self.source.path);
        Warning {
            engine: Some(self.env.engine),
            instance: None,
            rule: "unproved_bundle".to_owned(),
            what: format!("nothing vouches for {}", self.source.path.display()),
            hint: format!(
                "bring {} with it, or set {} or {}",
                manifest.display(),
                vars::of(self.env.engine, "BUNDLE_SHA256"),
                vars::of(self.env.engine, "TEMPLATE_DIR")
            ),
        }
    }

    fn damaged(&self, cause: String) -> Failure {
        Failure::new(Code::Input, self.what(), cause)
            .hint("it was damaged or mixed up on its way; bring the bundle and its manifest again")
    }

    fn what(&self) -> String {
        format!("cannot install {}", self.source.path.display())
    }
}

/// The template's pixi.lock, where it has one.
fn read_lock(template: &Path) -> Result<Option<(PathBuf, LockFile)>, Failure> {
    let path = template.join("pixi.lock");
    let what = || format!("cannot read {}", path.display());
    // Nobody waits for what a pipe will say.
    let regular = |path: &Path| match std::fs::metadata(path)?.is_file() {
        true => std::fs::read(path),
        false => Err(io::Error::other("not a regular file")),
    };
    let bytes = match regular(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io(Code::Unmet, what(), &error)),
    };
    let lock = LockFile::parse(&bytes)
        .map_err(|error| Failure::new(Code::Input, what(), error.to_string()).hint(error.hint()))?;
    Ok(Some((path, lock)))
}
