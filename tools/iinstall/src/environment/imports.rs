//! That the environment holds what the engine needs: imported by its own interpreter, without the network.
use crate::sealed::Sealed;
use pixi::JobOutput;
use record::{Activation, Engine, Warning};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use tool::{Code, Failure};

const SCRIPT: &str = include_str!("imports.py");

/// What the script says.
#[derive(Deserialize)]
struct ImportReport {
    modules: BTreeMap<String, Module>,
    /// What is locked, and no distribution there.
    absent: Vec<String>,
    torch_cuda: Option<String>,
    cuda_available: Option<bool>,
    cuda_devices: Option<u64>,
    cuda_error: Option<String>,
}

#[derive(Deserialize)]
struct Module {
    /// Absent where there is no such distribution.
    version: Option<String>,
    error: Option<String>,
}

/// Import what `engine` needs with `python`, activated, and add to `checks` what was found. A GPU that answers and that a
/// torch built for it does not see is a failure, and so is a distribution of `locked` that Python does not find; no GPU is a
/// fact.
pub(crate) fn check(
    sealed: &Sealed<'_>,
    engine: Engine,
    python: &Path,
    (activation, locked): (&Activation, &[String]),
    checks: &mut BTreeMap<String, Value>,
) -> Result<Vec<Warning>, Failure> {
    let mut command = sealed.command(python)?.capture();
    // An empty part would be whatever folder we are in.
    let path = std::env::var_os("PATH").filter(|path| !path.is_empty());
    let folders = activation.path.iter().map(|folder| folder.clone().into_os_string());
    let path = folders.chain(path).collect::<Vec<_>>().join(OsStr::new(":"));
    command.command.envs(&activation.variables).env("PATH", path).env_remove("PYTHONPATH");
    command.command.env_remove("PYTHONHOME").args(["-I", "-c", SCRIPT]).args(engine::of(engine).imports);
    command.command.arg("--").args(locked);
    let ended = sealed.run(command, &format!("importing what {engine} needs"))?;
    let found = parse(engine, &ended)?;
    found.must_have_all(python)?;
    let warnings = found.note(engine, python, checks)?;
    found.gpu(engine, python, &ended)?;
    Ok(warnings)
}

fn parse(engine: Engine, ended: &JobOutput) -> Result<ImportReport, Failure> {
    let what = || format!("cannot import what {engine} needs");
    if !ended.status.success() {
        return Err(ended.failure(what()));
    }
    serde_json::from_slice(&ended.stdout)
        .map_err(|error| Failure::new(Code::Unmet, what(), format!("the check says something else: {error}")))
}

impl ImportReport {
    /// Refuse an environment that lacks what is locked for it: the installer said that all is there.
    fn must_have_all(&self, python: &Path) -> Result<(), Failure> {
        let Some(first) = self.absent.first() else { return Ok(()) };
        let what = format!("{} does not find {first}", python.display());
        let others = self.absent.len() - 1;
        let more = if others == 0 { String::new() } else { format!(", and {others} more like it") };
        let cause = format!("it is locked, and was not installed so that Python finds it{more}");
        Err(Failure::new(Code::Unmet, what, cause)
            .hint("its files in the cache or the bundle are damaged: verify them with icache --deep, or bring them again"))
    }

    fn note(
        &self,
        engine: Engine,
        python: &Path,
        checks: &mut BTreeMap<String, Value>,
    ) -> Result<Vec<Warning>, Failure> {
        let mut warnings = Vec::new();
        // In the order of the list: what comes first may be why the rest fails.
        let named = |name: &&'static str| Some((*name, self.modules.get(*name)?));
        for (name, module) in engine::of(engine).imports.iter().filter_map(named) {
            if let Some(error) = &module.error {
                let what = format!("{} cannot import {name}", python.display());
                return Err(Failure::new(Code::Unmet, what, error.clone())
                    .hint("the environment was installed as it is locked; the lock file or this machine's libraries are at fault"));
            }
            match &module.version {
                Some(version) => drop(checks.insert(name.to_owned(), json!(version))),
                None => warnings.push(Warning {
                    engine: Some(engine),
                    instance: None,
                    rule: "import_missing".to_owned(),
                    what: format!("there is no {name} in the environment of {}", python.display()),
                    hint: format!(
                        "{engine} does not serve without it; add it to the template and lock again"
                    ),
                }),
            }
        }
        let facts = [
            ("torch_cuda", self.torch_cuda.as_ref().map(|version| json!(version))),
            ("cuda_available", self.cuda_available.map(|is| json!(is))),
            ("cuda_devices", self.cuda_devices.map(|count| json!(count))),
        ];
        checks.extend(facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?))));
        Ok(warnings)
    }

    /// Refuse an environment that does not see the GPUs that are there.
    fn gpu(&self, engine: Engine, python: &Path, ended: &JobOutput) -> Result<(), Failure> {
        if self.torch_cuda.is_none() || self.cuda_available == Some(true) {
            return Ok(());
        }
        let visible = std::env::var(gpu::VISIBLE).ok();
        let devices = gpu::devices().unwrap_or_default();
        let there = gpu::select("all", visible.as_deref(), &devices).count;
        if there == 0 {
            return Ok(());
        }
        let what = format!("{engine} would not see the GPU: torch of {} sees none", python.display());
        let cause = match (&self.cuda_error, &self.torch_cuda) {
            (Some(error), _) => error.clone(),
            (None, Some(cuda)) => format!("nvidia-smi lists {there}, torch is built for CUDA {cuda}"),
            (None, None) => format!("nvidia-smi lists {there}"),
        };
        let mut failure = Failure::new(Code::Unmet, what, cause).hint(
            "the driver is older than that CUDA, or the container was started without its compute libraries",
        );
        failure.log_tail.clone_from(&ended.tail);
        Err(failure)
    }
}
