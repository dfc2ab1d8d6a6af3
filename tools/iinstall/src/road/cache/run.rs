//! pixi at work on an attempt: sealed, with the path of the cache and nothing else of this machine in its environment.
use crate::environment;
use crate::sealed::Sealed;
use pixi::{JobOutput, Kind, Network, override_variable, set_environment};
use record::Activation;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// A pixi, its arguments and its environment.
pub(super) struct Run<'a> {
    pub(super) program: &'a Path,
    /// The environment's name.
    pub(super) environment: &'a str,
    pub(super) sealed: &'a Sealed<'a>,
    /// The folder that the install will be, with the template in it.
    pub(super) attempt: &'a Path,
    /// Where the cache is.
    pub(super) variables: &'a BTreeMap<String, String>,
    /// For temporary files.
    pub(super) tmp: &'a Path,
}

impl Run<'_> {
    /// Install the environment; its folder.
    pub(super) fn install(&self) -> Result<PathBuf, Failure> {
        let mut command = self.sealed.command(self.program)?;
        let program = &mut command.command;
        program.args(["install", "--frozen"]).args(self.arguments()).current_dir(self.attempt);
        set_environment(program, self.variables, self.tmp, Network::Offline);
        let ended = self.sealed.run(command, &format!("installing into {}", self.attempt.display()))?;
        if !ended.status.success() {
            return Err(hinted(&ended, format!("pixi cannot install into {}", self.attempt.display())));
        }
        let prefix = self.attempt.join(".pixi/envs").join(self.environment);
        self.is_there(&prefix).map(|()| prefix)
    }

    /// What activating the environment changes, as pixi says.
    pub(super) fn activation(&self) -> Result<Activation, Failure> {
        let mut arguments = vec!["--frozen".to_owned()];
        arguments.extend(self.arguments());
        let mut variables = self.variables.clone();
        variables.insert("TMPDIR".to_owned(), self.tmp.display().to_string());
        variables.insert("PIXI_NO_CONFIG".to_owned(), "1".to_owned());
        environment::from_hook(self.sealed, self.program, &arguments, &variables)
    }

    /// The project and the environment, as pixi's commands take them.
    fn arguments(&self) -> Vec<String> {
        let manifest = self.attempt.join(pixi::manifest_of(self.attempt)).display().to_string();
        ["--manifest-path", &manifest, "--environment", self.environment].map(str::to_owned).into()
    }

    /// Refuse an environment that is elsewhere, or none of Python's.
    fn is_there(&self, prefix: &Path) -> Result<(), Failure> {
        let real = std::fs::canonicalize(prefix).unwrap_or_default();
        // Installs may be on another disk, behind a link.
        let inside = self.attempt.canonicalize().is_ok_and(|attempt| real.starts_with(attempt));
        if inside && prefix.join("bin/python").is_file() {
            return Ok(());
        }
        let what = format!("pixi did not install into {}", prefix.display());
        let (cause, hint) = if inside {
            ("there is no bin/python in it".to_owned(), "the environment that is named must have a Python")
        } else {
            let cause = match real.as_os_str().is_empty() {
                true => "it is not there".to_owned(),
                false => format!("that is {}", real.display()),
            };
            (cause, "detached environments cannot be installed; turn them off in pixi's configuration")
        };
        Err(Failure::new(Code::Unmet, what, cause).hint(hint))
    }
}

/// pixi's failure, with what to do about those that are known.
fn hinted(ended: &JobOutput, what: String) -> Failure {
    let failure = ended.failure(what);
    match hint(&ended.why().kind) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn hint(kind: &Kind) -> Option<String> {
    let hint = match kind {
        // An older pixi knows no offline: it tries, and finds no network.
        Kind::Offline | Kind::Download(_) => {
            "the cache lacks it; icache names everything that it lacks, or cannot prove"
        }
        Kind::NoLocks => "the cache lies on a file system without locks; copy it to a local disk",
        Kind::NoSpace => "make room on the disk of the install",
        Kind::LongPath => "use a shorter path for what is installed",
        Kind::Virtual(package) => {
            let variable = override_variable(package);
            return Some(match package.as_str() {
                "cuda" => format!(
                    "set {variable} (as 12.8) where the driver is not visible, as the cache was warmed with"
                ),
                _ => {
                    format!("this machine has no such {package}: set {variable} as the cache was warmed with")
                }
            });
        }
        Kind::NoEnvironment => "the lock file does not have that environment",
        Kind::LockNewer => "put the pixi that made the lock file, or a newer one, first on PATH",
        Kind::Panic => "pixi failed by a fault of its own; icache --deep shows whether the cache is damaged",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Kind, hint};
    use pixi::Download;

    #[test]
    fn what_is_missing_is_missing_from_the_cache_however_pixi_finds_out() {
        let lacks = hint(&Kind::Offline);
        assert!(lacks.as_ref().is_some_and(|hint| hint.starts_with("the cache lacks it")));
        assert_eq!(hint(&Kind::Download(Download::Name)), lacks);
        let variable = |package: &str| hint(&Kind::Virtual(package.to_owned())).unwrap();
        assert!(variable("cuda").starts_with("set CONDA_OVERRIDE_CUDA (as 12.8)"));
        assert!(variable("glibc").contains("set CONDA_OVERRIDE_GLIBC as"));
        assert_eq!(hint(&Kind::Other), None);
    }
}
