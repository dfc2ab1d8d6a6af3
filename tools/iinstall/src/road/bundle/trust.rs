//! What a bundle is verified by: the hash that was asked for, the manifest beside it, and the template's pixi.lock.
use crate::inherited::LOCK_FILE;
use crate::source::Sidecar;
use bundle::{Manifest, Member, MemberKind, PackInfo, Problem};
use lock::LockFile;
use record::{Env, Installed, Origin, Source, Warning};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tool::{Code, Failure, vars};

/// Their names in a record.
const VERIFIERS: [&str; 3] = ["sha256", "manifest", "lock"];
/// More than its own description has no bundle.
const PACK_INFO_CEILING: u64 = 1 << 20;

/// All that is there to compare with.
#[derive(Debug)]
pub(crate) struct TrustSources<'a> {
    env: &'a Env,
    source: Source,
    /// Name of the environment that was packed.
    environment: String,
    manifest: Option<(PathBuf, Manifest)>,
    lock: Option<(PathBuf, LockFile)>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct TrustReport {
    /// What it was verified by, of [`VERIFIERS`].
    proved: Vec<&'static str>,
    pub(super) checks: BTreeMap<String, Value>,
    pub(super) warnings: Vec<Warning>,
    /// Every file that was in it; none where they are not known.
    pub(super) members: Vec<Member>,
    /// The pixi-pack that made the bundle, as it says.
    pub(super) pixi_pack: Option<String>,
}

impl TrustReport {
    /// The Python packages that were in it.
    pub(super) fn distributions(&self) -> Vec<String> {
        let name = |member: &Member| match MemberKind::of(&member.path) {
            MemberKind::Wheel { file } => file.split('-').next().map(str::to_owned),
            _ => None,
        };
        self.members.iter().filter_map(name).collect()
    }
}

impl<'a> TrustSources<'a> {
    /// Read them, and refuse at once what they already rule out. What root has opened for us is read in their place.
    pub(crate) fn read(
        env: &'a Env,
        source: &Source,
        manifest: Sidecar,
        lock: Sidecar,
    ) -> Result<Self, Failure> {
        let path = Manifest::path_for(&source.path);
        let bytes = manifest.read(&path, Manifest::CEILING_BYTES)?;
        let manifest = bytes.map(|bytes| Manifest::of(&bytes, &path)).transpose()?;
        let lock = env.template_dir.as_deref().map(|dir| read_lock(dir, lock)).transpose()?.flatten();
        let environment = env.pixi_env.clone().unwrap_or_else(|| "default".to_owned());
        let manifest = manifest.map(|manifest| (path, manifest));
        let mut trust = Self { env, source: source.clone(), environment, manifest, lock };
        trust.admit()?;
        if let Some((_, manifest)) = &trust.manifest {
            trust.environment.clone_from(&manifest.pixi_env);
        }
        Ok(trust)
    }

    /// What the manifest says before anything of the bundle is read.
    fn admit(&self) -> Result<(), Failure> {
        let Some((path, manifest)) = &self.manifest else { return Ok(()) };
        let by = path.display();
        if let Some(left_out) = manifest.left_out {
            let cause = format!("by {by} it holds packages alone, for a cache that has {left_out} others");
            let hint = "unpack it with tar, and take it into the cache with icache --bring";
            return Err(Failure::new(Code::Input, self.what(), cause).hint(hint));
        }
        if manifest.size_bytes != self.source.size_bytes {
            let (has, said) = (self.source.size_bytes, manifest.size_bytes);
            return Err(self.damaged(format!("it has {has} bytes, and by {by} it should have {said}")));
        }
        let here = lock::host_platform();
        if manifest.platform != here {
            let cause =
                format!("by {by} it is for platform {}, and this machine is {here}", manifest.platform);
            let hint = format!("pack it with --platform {here}");
            return Err(Failure::new(Code::Unmet, self.what(), cause).hint(hint));
        }
        // A name that nobody gave gives way to that of what was packed.
        let chosen = self.env.pixi_env.is_some() && self.env.origin.get("pixi_env") != Some(&Origin::Default);
        if !chosen || manifest.pixi_env == self.environment {
            return Ok(());
        }
        let (packed, wanted) = (&manifest.pixi_env, &self.environment);
        let cause = format!("by {by} it was packed of environment '{packed}', not of '{wanted}'");
        let name = vars::of(self.env.engine, "PIXI_ENV");
        let hint = format!("unset {name} or set it to {packed}, or bring a bundle of environment '{wanted}'");
        Err(Failure::new(Code::Input, self.what(), cause).hint(hint))
    }

    /// The whole file alone, where its members are not known.
    pub(super) fn whole(&self, sha256: &str) -> Result<TrustReport, Failure> {
        self.described(sha256, &[])?;
        self.check_sha256(sha256)?;
        Ok(self.proof(false))
    }

    /// An earlier install, with its record and all members of its bundle: what verified it then stays in the record, and
    /// the trust sources that are there now are checked as they would be for a new one.
    pub(super) fn reverify(
        &self,
        installed: &mut Installed,
        members: &[Member],
    ) -> Result<Vec<Warning>, Failure> {
        let known = !members.is_empty();
        let problems =
            self.manifest.as_ref().filter(|_| known).map(|(_, manifest)| manifest.problems(members));
        self.described(&installed.id, &problems.unwrap_or_default())?;
        self.check_sha256(&installed.id)?;
        if known {
            self.locked(members)?;
        }
        let TrustReport { proved: now, checks, .. } = self.proof(known);
        let then = installed.checks.get("proved").and_then(Value::as_array).cloned().unwrap_or_default();
        // A lock file that nothing could be compared with has verified nothing.
        let unknown = |name: &str| name == "lock" && self.lock.is_some() && !known;
        let stays = |name: &&str| !unknown(name) && then.iter().any(|said| said == name);
        let proved: Vec<&str> =
            VERIFIERS.into_iter().filter(|name| now.contains(name) || stays(name)).collect();
        if !proved.contains(&"lock") {
            installed.checks.remove("lock_sha256");
        }
        installed.checks.extend(checks);
        installed.checks.insert("proved".to_owned(), json!(proved));
        Ok(if proved.is_empty() { vec![self.unverified_warning()] } else { Vec::new() })
    }

    /// The whole file and all that was in it. `folder` is where that is now.
    pub(super) fn all(
        &self,
        sha256: &str,
        members: &[Member],
        folder: &Path,
    ) -> Result<TrustReport, Failure> {
        let info = self.pack_info(members, folder)?;
        let problems = self.manifest.as_ref().map(|(_, manifest)| manifest.problems(members));
        self.described(sha256, &problems.unwrap_or_default())?;
        self.check_sha256(sha256)?;
        self.locked(members)?;
        let mut proof = self.proof(true);
        proof.pixi_pack = info.pixi_pack_version;
        let bytes: u64 = members.iter().map(|member| member.size_bytes).sum();
        let count = |of: fn(&MemberKind<'_>) -> bool| {
            members.iter().filter(|member| of(&MemberKind::of(&member.path))).count()
        };
        proof.checks.extend([
            ("members".to_owned(), json!(members.len())),
            ("bytes".to_owned(), json!(bytes)),
            ("conda".to_owned(), json!(count(|part| matches!(part, MemberKind::Archive { .. })))),
            ("pypi".to_owned(), json!(count(|part| matches!(part, MemberKind::Wheel { .. })))),
        ]);
        proof.members = members.to_vec();
        Ok(proof)
    }

    /// Refuse a bundle that is not the one that was named.
    fn check_sha256(&self, sha256: &str) -> Result<(), Failure> {
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
        let Some(member) = members.iter().find(|member| member.path == PackInfo::PATH) else {
            let cause = format!("it is not a pixi-pack bundle: it has no {}", PackInfo::PATH);
            return Err(Failure::new(Code::Input, what, cause).hint("make bundles with ipack or pixi-pack"));
        };
        if member.size_bytes > PACK_INFO_CEILING {
            let cause =
                format!("its {} has {} bytes, which no description has", PackInfo::PATH, member.size_bytes);
            return Err(Failure::new(Code::Input, what, cause).hint("make bundles with ipack or pixi-pack"));
        }
        let path = folder.join(PackInfo::PATH);
        let bytes = std::fs::read(&path)
            .map_err(|error| Failure::io(Code::Unmet, format!("cannot read {}", path.display()), &error))?;
        let info = PackInfo::parse(&bytes, &what)?;
        info.check_installable(&what)?;
        Ok(info)
    }

    /// What the manifest says of the file, the members first: they say where it differs.
    fn described(&self, sha256: &str, problems: &[Problem]) -> Result<(), Failure> {
        let Some((path, manifest)) = &self.manifest else { return Ok(()) };
        let by = path.display();
        if !problems.is_empty() {
            return Err(self.damaged(format!("by {by}, {}", bundle::summary(problems))));
        }
        if !manifest.sha256.eq_ignore_ascii_case(sha256) {
            return Err(
                self.damaged(format!("its sha256 is {sha256}, and by {by} it is {}", manifest.sha256))
            );
        }
        Ok(())
    }

    fn locked(&self, all: &[Member]) -> Result<(), Failure> {
        let Some((path, lock)) = &self.lock else { return Ok(()) };
        let environment = &self.environment;
        let platform = lock::host_platform();
        let template = vars::of(self.env.engine, "TEMPLATE_DIR");
        let members = self.manifest.as_ref().map(|(_, manifest)| manifest.locked(all));
        let members = members.as_deref().unwrap_or(all);
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
        let cause = format!("by {}, {}", path.display(), bundle::summary(&found.problems));
        let hint = format!(
            "pack it again from this template, or point {template} at the one that it was packed from"
        );
        Err(Failure::new(Code::Input, self.what(), cause).hint(hint))
    }

    /// What the bundle was verified by. A lock file verifies members that are known, and nothing else.
    fn proof(&self, known: bool) -> TrustReport {
        let lock = self.lock.as_ref().filter(|_| known);
        let holds = [self.env.sha256.is_some(), self.manifest.is_some(), lock.is_some()];
        let proved: Vec<&'static str> =
            VERIFIERS.into_iter().zip(holds).filter_map(|(name, holds)| holds.then_some(name)).collect();
        let mut checks = BTreeMap::from([("proved".to_owned(), json!(proved))]);
        checks.extend(lock.map(|(_, lock)| ("lock_sha256".to_owned(), json!(lock.sha256))));
        let named = self.manifest.is_some() || lock.is_some();
        checks.extend(named.then(|| ("pixi_env".to_owned(), json!(self.environment))));
        let warnings = if proved.is_empty() { vec![self.unverified_warning()] } else { Vec::new() };
        TrustReport { proved, checks, warnings, members: Vec::new(), pixi_pack: None }
    }

    fn unverified_warning(&self) -> Warning {
        let manifest = Manifest::path_for(&self.source.path);
        Warning {
            engine: Some(self.env.engine),
            instance: None,
            rule: "unproved_bundle".to_owned(),
            what: format!("nothing verifies {}", self.source.path.display()),
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
fn read_lock(template: &Path, inherited: Sidecar) -> Result<Option<(PathBuf, LockFile)>, Failure> {
    let path = template.join(LOCK_FILE);
    let Some(bytes) = inherited.read(&path, lock::CEILING_BYTES)? else { return Ok(None) };
    match LockFile::parse(&bytes) {
        Ok(lock) => Ok(Some((path, lock))),
        Err(error) => {
            let what = format!("cannot read {}", path.display());
            Err(Failure::new(Code::Input, what, error.to_string()).hint(error.hint()))
        }
    }
}
