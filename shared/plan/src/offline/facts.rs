//! What the rules are tested on, and their tests.
use engine::Flags;
use owner::Dir;
use record::{Engine, Plan};
use rustix::fs::statvfs;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use weights::Shape;

/// What vLLM and SGLang want for the exchange between processes, in bytes: Docker's default is 64 MiB.
const SHM_BYTES: u64 = 1 << 30;

/// A plan, and what is on disk for it.
pub(crate) struct Facts<'a> {
    plan: &'a Plan,
    caller: &'a BTreeMap<String, String>,
    /// GPUs that it needs in all, where the arguments say.
    gpus: Option<u64>,
    /// Versions of the environment's Python distributions, by their names with underscores.
    packages: BTreeMap<String, String>,
    /// Where the environment is.
    prefix: Option<PathBuf>,
    shape: Shape,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(plan: &'a Plan, gpus: Option<u64>, caller: &'a BTreeMap<String, String>) -> Self {
        let python = plan.engine != Engine::LlamaCpp;
        let prefix = plan.program.parent().and_then(Path::parent).map(Path::to_owned).filter(|_| python);
        let packages = prefix.as_deref().map(packages).unwrap_or_default();
        let model = plan.model.as_deref().map(Path::new).filter(|path| path.is_absolute() && python);
        let shape = model.map(weights::shape_of).unwrap_or_default();
        Self { plan, caller, gpus, packages, prefix, shape }
    }

    /// Whether the engine's version is known and before another.
    pub(crate) fn is_before(&self, version: &str) -> bool {
        let own = self.packages.get(self.plan.engine.id());
        version.is_empty() || own.is_some_and(|own| compare(own, version) == Ordering::Less)
    }

    fn version(&self, package: &str) -> Option<&str> {
        self.packages.get(package).map(String::as_str)
    }

    /// A variable as the server will have it.
    fn variable(&self, name: &str) -> Option<&str> {
        let dropped = self.plan.env_dropped.iter().any(|dropped| dropped == name);
        let inherited = self.caller.get(name).filter(|_| !dropped);
        self.plan.env_set.get(name).or(inherited).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn has_flag(&self, name: &str) -> bool {
        let profile = engine::of(self.plan.engine);
        self.plan.args.iter().any(|word| word.starts_with('-') && profile.flag(word) == name)
    }

    /// Whether a program is where the server would find it.
    fn finds(&self, program: &str) -> bool {
        let path = self.variable("PATH").unwrap_or_default();
        let homes = ["CUDA_HOME", "CUDA_PATH"].iter().filter_map(|name| self.variable(name));
        let mut folders: Vec<PathBuf> = std::env::split_paths(path).collect();
        folders.extend(homes.map(|home| Path::new(home).join("bin")));
        folders.extend(self.prefix.iter().map(|prefix| prefix.join("bin")));
        folders.push("/usr/local/cuda/bin".into());
        folders.iter().any(|folder| owner::is_file(folder.join(program)))
    }
}

/// Whether there is a GPU that the engine could use: elsewhere what only matters on one says nothing.
fn on_a_gpu(facts: &Facts<'_>) -> bool {
    facts.plan.gpu_ids != "none" && owner::exists("/dev/nvidiactl")
}

/// Versions by the folders `NAME-VERSION.dist-info`, whose names have underscores.
fn packages(prefix: &Path) -> BTreeMap<String, String> {
    let names = |path: &Path| Dir::open(path).and_then(|dir| dir.names()).unwrap_or_default();
    let lib = prefix.join("lib");
    let python = names(&lib).into_iter().find(|name| name.to_string_lossy().starts_with("python3."));
    let Some(python) = python else { return BTreeMap::new() };
    let entry = |name: std::ffi::OsString| {
        let (name, version) = name.to_str()?.strip_suffix(".dist-info")?.rsplit_once('-')?;
        Some((name.to_ascii_lowercase().replace(['-', '.'], "_"), version.to_owned()))
    };
    names(&lib.join(python).join("site-packages")).into_iter().filter_map(entry).collect()
}

/// The order of two versions by their leading numbers: `2.9.1+cu128` is `2.9.1`.
fn compare(one: &str, other: &str) -> Ordering {
    numbers(one).cmp(&numbers(other))
}

fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['+', '-']).next().unwrap_or_default();
    release.split('.').map_while(|part| part.parse().ok()).collect()
}

pub(super) fn tiktoken(facts: &Facts<'_>) -> Option<String> {
    const FILE: &str = "o200k_base.tiktoken";
    if facts.shape.model_type.as_deref() != Some("gpt_oss") || !facts.plan.control.offline {
        return None;
    }
    match facts.variable("TIKTOKEN_ENCODINGS_BASE") {
        Some(folder) if owner::is_file(Path::new(folder).join(FILE)) => None,
        Some(folder) => Some(format!("TIKTOKEN_ENCODINGS_BASE is {folder}, which has no {FILE}")),
        None if facts.variable("TIKTOKEN_RS_CACHE_DIR").is_some() => None,
        None => {
            Some(format!("gpt-oss needs {FILE}, and TIKTOKEN_ENCODINGS_BASE is not set: it would be fetched"))
        }
    }
}

pub(super) fn flashinfer(facts: &Facts<'_>) -> Option<String> {
    let wanted = numbers(facts.version("flashinfer_python")?);
    let differs = |name: &str| {
        let version = facts.version(name)?;
        (numbers(version) != wanted).then(|| format!("{name} is {version}"))
    };
    let others: Vec<String> =
        ["flashinfer_cubin", "flashinfer_jit_cache"].into_iter().filter_map(differs).collect();
    let own = facts.version("flashinfer_python")?;
    (!others.is_empty()).then(|| format!("flashinfer_python is {own}, and {}", others.join(" and ")))
}

pub(super) fn compiler(facts: &Facts<'_>) -> Option<String> {
    let sglang = facts.version("sglang").is_some_and(|version| compare(version, "0.5.9") != Ordering::Less);
    let flashinfer =
        facts.version("flashinfer_python").is_some() && facts.version("flashinfer_jit_cache").is_none();
    if !on_a_gpu(facts) || !(sglang || flashinfer) {
        return None;
    }
    let missing: Vec<&str> = ["nvcc", "ninja"].into_iter().filter(|program| !facts.finds(program)).collect();
    (!missing.is_empty()).then(|| format!("there is no {}", missing.join(" and no ")))
}

pub(super) fn cudnn(facts: &Facts<'_>) -> Option<String> {
    let torch = facts.version("torch").filter(|version| numbers(version) == [2, 9, 1])?;
    let cudnn =
        facts.version("nvidia_cudnn_cu12").filter(|version| compare(version, "9.15") == Ordering::Less)?;
    let unchecked = facts.variable("SGLANG_DISABLE_CUDNN_CHECK").is_some();
    (facts.shape.multimodal && !unchecked)
        .then(|| format!("it refuses a model that reads images with torch {torch} and cuDNN {cudnn}"))
}

pub(super) fn driver(facts: &Facts<'_>) -> Option<String> {
    let text = owner::read_file(Path::new("/proc/driver/nvidia/version"), 4096).ok()?;
    let driver = driver_version(&String::from_utf8_lossy(&text))?;
    // The libraries of a newer driver stand in for it.
    let compat = facts.variable("LD_LIBRARY_PATH").is_some_and(|path| path.contains("compat"));
    let cuda = facts.version("nvidia_cuda_runtime").or_else(|| facts.version("nvidia_cuda_runtime_cu12"))?;
    let least = least_driver(cuda)?;
    (!compat && driver < least).then(|| {
        format!("the environment has CUDA {cuda}, which needs driver {least}, and this one is {driver}")
    })
}

/// The oldest driver for a CUDA: within one major version the first is enough.
fn least_driver(cuda: &str) -> Option<u64> {
    match numbers(cuda).first()? {
        12 => Some(525),
        13 => Some(580),
        _ => None,
    }
}

/// The driver's major version in the kernel's own line.
fn driver_version(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    line.split_whitespace().find_map(|word| {
        let numbers = numbers(word);
        (numbers.len() >= 2 && word.split('.').all(|part| part.parse::<u64>().is_ok()))
            .then(|| numbers.first().copied())?
    })
}

pub(super) fn shm(facts: &Facts<'_>) -> Option<String> {
    let several = facts.gpus.is_some_and(|gpus| gpus > 1);
    let found = statvfs("/dev/shm").ok().filter(|_| several && on_a_gpu(facts))?;
    let bytes = found.f_blocks.saturating_mul(found.f_frsize);
    (bytes < SHM_BYTES).then(|| format!("/dev/shm has {} MiB, which several GPUs share", bytes >> 20))
}

/// What is named beside the model, and has to be fetched. The model itself is reported elsewhere.
pub(super) fn remote_names(facts: &Facts<'_>) -> Option<String> {
    // llama.cpp has flags of their own for what it fetches.
    const FETCHED: [&str; 6] =
        ["docker-repo", "hf-repo", "hf-repo-draft", "mmproj-url", "model-url", "spec-draft-hf"];
    let profile = engine::of(facts.plan.engine);
    let flags = Flags::of(&facts.plan.args, profile);
    let others = flags.other_models(profile).into_iter().map(|(_, name)| name);
    let llama = facts.plan.engine == Engine::LlamaCpp;
    // Its paths are looked for from where it runs, and missing ones are reported elsewhere.
    let others = others.filter(|name| !llama && !Path::new(name).is_absolute());
    let fetched = FETCHED.iter().filter(|_| llama).flat_map(|flag| flags.values(flag));
    let names: Vec<String> = others.chain(fetched.filter_map(|values| values.first().cloned())).collect();
    (facts.plan.control.offline && !names.is_empty())
        .then(|| format!("{} would be looked for on the network", names.join(" and ")))
}

pub(super) fn own_code(facts: &Facts<'_>) -> Option<String> {
    let class = facts.shape.own_code.first()?;
    (!facts.has_flag("trust-remote-code"))
        .then(|| format!("the model brings its own code ({class}), and trust_remote_code is not set"))
}

pub(super) fn port_privileged(facts: &Facts<'_>) -> Option<String> {
    // What we may not bind ourselves, the test of the port has said.
    let user = facts.plan.user.as_deref().filter(|_| !rustix::process::geteuid().is_root())?;
    let free = owner::read_file(Path::new("/proc/sys/net/ipv4/ip_unprivileged_port_start"), 64).ok()?;
    let free: u16 = String::from_utf8_lossy(&free).trim().parse().ok()?;
    let port = facts.plan.port;
    (port < free && rustix::process::getuid().is_root())
        .then(|| format!("{user} may not listen on port {port}, which is below {free}"))
}

pub(super) fn log_space(facts: &Facts<'_>) -> Option<String> {
    let folder = facts.plan.log_file.ancestors().skip(1).find(|folder| owner::is_dir(folder))?;
    let found = statvfs(folder).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let wanted = facts.plan.control.log_max_mib << 20;
    (free < wanted).then(|| {
        format!("{} has {} MiB left, and one log may take {}", folder.display(), free >> 20, wanted >> 20)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(compare("2.9.1+cu128", "2.9.1"), Ordering::Equal);
        assert_eq!(compare("0.5.10", "0.5.9"), Ordering::Greater);
        assert_eq!(compare("9.10.2.21", "9.15"), Ordering::Less);
    }

    #[test]
    fn the_kernels_line_names_the_driver() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\nGCC version: 12.2";
        let closed =
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  525.60.13  Wed Nov 30 06:39:21 UTC 2022";
        assert_eq!(
            (driver_version(open), driver_version(closed), driver_version("x")),
            (Some(570), Some(525), None)
        );
        assert_eq!(
            (least_driver("12.8.90"), least_driver("13.0.48"), least_driver("11.8")),
            (Some(525), Some(580), None)
        );
    }
}
