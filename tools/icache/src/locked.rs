//! What is to be installed, as the lock file says: one environment on this machine's platform.
use crate::gap::Fault;
use lock::{LockFile, Package, redact};
use record::Env;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// The packages that an install takes.
pub(crate) struct Locked {
    /// sha256 of the lock file.
    pub(crate) sha256: String,
    /// The environment's name.
    pub(crate) environment: String,
    /// The platforms, as the lock file names them.
    pub(crate) platforms: Vec<String>,
    pub(crate) packages: Vec<Package>,
    pub(crate) find_links: bool,
    /// The template's folder, which relative locations start from.
    pub(crate) folder: PathBuf,
}

impl Locked {
    /// Read the template's lock file and choose from it.
    pub(crate) fn read(env: &Env, platform: Option<&str>) -> Result<Self, Failure> {
        let folder = required(env, env.template_dir.as_ref(), "TEMPLATE_DIR")?;
        let path = folder.join("pixi.lock");
        let lock = read_lock(env, &path)?;
        let name = env.pixi_env.as_deref().unwrap_or("default");
        let environment = lock.environment(name).map_err(|cause| no_environment(env, &path, cause))?;
        let (platforms, packages) = choose(environment, platform)
            .map_err(|cause| Failure::new(Code::Input, format!("cannot use {}", path.display()), cause))?;
        let find_links = environment.find_links;
        let environment = name.to_owned();
        Ok(Self { sha256: lock.sha256, environment, platforms, packages, find_links, folder })
    }

    /// Two archives of one name, version and build share one folder in the cache and push each other out.
    pub(crate) fn collisions(&self) -> Vec<(usize, Fault)> {
        let mut first = HashMap::new();
        let mut faults = Vec::new();
        for (index, package) in self.packages.iter().enumerate() {
            let Package::Conda(conda) = package else { continue };
            let Some(sha256) = conda.sha256.as_deref() else { continue };
            let (holder, hash) = *first.entry(conda.entry()).or_insert((conda, sha256));
            if hash != sha256 {
                let (one, other) = (redact(&conda.location), redact(&holder.location));
                let detail = format!("{one} and {other} share one place in the cache");
                faults.push((index, Fault { reason: "collision", path: None, detail }));
            }
        }
        faults
    }
}

/// A value of `env` that the cache road cannot do without.
pub(crate) fn required(env: &Env, value: Option<&PathBuf>, suffix: &str) -> Result<PathBuf, Failure> {
    value.cloned().ok_or_else(|| {
        let variable = tool::vars::of(env.engine, suffix);
        let failure = Failure::new(
            Code::Unmet,
            format!("cannot verify the cache of {}", env.engine),
            format!("{variable} is not set"),
        );
        failure.hint(format!("set {variable}; infer-dev(7) says what to"))
    })
}

/// The packages of the platform that was named, else of all platforms of this machine's subdir: which of those pixi takes,
/// only its look at the machine decides.
fn choose(
    environment: &lock::Environment,
    named: Option<&str>,
) -> Result<(Vec<String>, Vec<Package>), String> {
    let wanted = named.unwrap_or(lock::host_platform());
    let chosen: Vec<(&String, &lock::Platform)> = match environment.platforms.get_key_value(wanted) {
        Some(platform) if named.is_some() => vec![platform],
        _ => environment.platforms.iter().filter(|(_, platform)| platform.subdir == wanted).collect(),
    };
    if chosen.is_empty() {
        let known: Vec<&str> = environment.platforms.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "no platform".to_owned() } else { known.join(", ") };
        return Err(format!("the environment is locked for {known}, not for {wanted}"));
    }
    let mut packages: Vec<Package> = Vec::new();
    for (_, platform) in &chosen {
        let known = packages.len();
        packages.extend(
            platform.packages.iter().filter(|p| !packages[..known].contains(p)).cloned().collect::<Vec<_>>(),
        );
    }
    Ok((chosen.iter().map(|(name, _)| (*name).clone()).collect(), packages))
}

fn read_lock(env: &Env, path: &Path) -> Result<LockFile, Failure> {
    let what = || format!("cannot read {}", path.display());
    let bytes = owner::read_file(path, lock::CEILING_BYTES).map_err(|error| {
        let variable = tool::vars::of(env.engine, "TEMPLATE_DIR");
        let hint = format!("set {variable} to the folder that holds pixi.toml and pixi.lock");
        Failure::io(Code::Unmet, what(), &error).hint(hint)
    })?;
    LockFile::parse(&bytes)
        .map_err(|error| Failure::new(Code::Input, what(), error.to_string()).hint(error.hint()))
}

fn no_environment(env: &Env, path: &Path, cause: String) -> Failure {
    let hint = format!("set {} to one of them", tool::vars::of(env.engine, "PIXI_ENV"));
    Failure::new(Code::Unmet, format!("cannot use {}", path.display()), cause).hint(hint)
}
