//! Memory of the chosen GPUs that others hold, looked at before anything starts.
use plan::gpu::{self, Gpu, Holder};
use plan::{GPU_MEMORY, Options};
use record::{Plan, Warning};
use std::collections::BTreeSet;
use std::path::Path;
use tool::{Code, Failure, Io};

/// Drivers and displays hold something always; no model that is worth a GPU fits into it either.
const LITTLE_MIB: u64 = 1024;
const HINT: &str = "stop who holds it, choose other gpu_ids, or set control.share_gpu = true";

/// Warn of plans whose GPUs others use, fail those whose GPUs are full; gives back what may start. `share_gpu` says that
/// all is well. Asks nobody where no plan uses a GPU.
pub(crate) fn check(plans: Vec<Plan>, options: &Options, io: &mut Io) -> Result<Vec<Plan>, Failure> {
    let asks = |plan: &Plan| plan.gpu_ids != "none" && !plan.control.share_gpu && !plan.reused;
    if !plans.iter().any(asks) {
        return Ok(plans);
    }
    let Some(gpus) = gpu::query() else { return Ok(plans) };
    // Asked only where anything is held that is worth a word.
    let held = gpus.iter().any(|gpu| gpu.used_mib >= LITTLE_MIB);
    let found = Found { gpus, holders: if held { gpu::holders() } else { Vec::new() } };
    let mut may_start = Vec::new();
    for plan in plans {
        if asks(&plan) && held {
            if let Some(failure) = found.full(&plan, options) {
                io.fail((plan.engine, plan.instance.as_str()), failure)?;
                continue;
            }
            if let Some(warning) = found.shared(&plan, options) {
                io.warn(warning)?;
            }
        }
        may_start.push(plan);
    }
    Ok(may_start)
}

/// What nvidia-smi said.
struct Found {
    gpus: Vec<Gpu>,
    holders: Vec<Holder>,
}

impl Found {
    /// The GPUs that an instance will see.
    fn of<'a>(&'a self, plan: &Plan, options: &Options) -> impl Iterator<Item = &'a Gpu> {
        let indices = gpu::choose(&plan.gpu_ids, visible(plan, options), &self.gpus).indices;
        self.gpus.iter().filter(move |gpu| indices.contains(&gpu.index))
    }

    /// Nothing is left to run in.
    fn full(&self, plan: &Plan, options: &Options) -> Option<Failure> {
        let free = |gpu: &Gpu| gpu.total_mib.saturating_sub(gpu.used_mib);
        let gpu = self.of(plan, options).find(|gpu| gpu.total_mib > 0 && free(gpu) < LITTLE_MIB)?;
        let what = format!("GPU {} has {} of {} MiB free", gpu.index, free(gpu), gpu.total_mib);
        let cause = format!("held by {}", self.who(gpu, &BTreeSet::new()));
        let mut failure = Failure::new(Code::Later, what, cause).hint(HINT);
        failure.class = Some(GPU_MEMORY.to_owned());
        Some(failure)
    }

    /// Somebody who is none of ours holds memory.
    fn shared(&self, plan: &Plan, options: &Options) -> Option<Warning> {
        if plan.control.allow.iter().any(|rule| rule == GPU_MEMORY) {
            return None;
        }
        let ours = ours(plan);
        let (gpu, mib) = self
            .of(plan, options)
            .map(|gpu| (gpu, self.foreign(gpu, &ours)))
            .find(|(_, mib)| *mib >= LITTLE_MIB)?;
        Some(Warning {
            engine: Some(plan.engine),
            instance: Some(plan.instance.clone()),
            rule: GPU_MEMORY.to_owned(),
            what: format!("{mib} MiB of GPU {} are held by {}", gpu.index, self.who(gpu, &ours)),
            hint: HINT.to_owned(),
        })
    }

    /// Memory that none of ours holds. In a container the driver names nobody: then all of it, unless any of ours run.
    fn foreign(&self, gpu: &Gpu, ours: &BTreeSet<u32>) -> u64 {
        if !self.holders.iter().any(|holder| holder.uuid == gpu.uuid) {
            return if ours.is_empty() { gpu.used_mib } else { 0 };
        }
        self.others(gpu, ours).map(|holder| holder.used_mib).sum()
    }

    fn others<'a>(&'a self, gpu: &'a Gpu, ours: &'a BTreeSet<u32>) -> impl Iterator<Item = &'a Holder> {
        self.holders.iter().filter(move |holder| holder.uuid == gpu.uuid && !ours.contains(&holder.pid))
    }

    /// Processes by id and name, where they can be seen. A command line may hold secrets.
    fn who(&self, gpu: &Gpu, ours: &BTreeSet<u32>) -> String {
        let name = |holder: &Holder| {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", holder.pid));
            let name =
                name.map_or_else(|_| "not to be seen from here".to_owned(), |name| name.trim().to_owned());
            format!("pid {} ({name})", holder.pid)
        };
        let names: Vec<String> = self.others(gpu, ours).map(name).collect();
        if names.is_empty() { "processes that cannot be seen from here".to_owned() } else { names.join(", ") }
    }
}

/// What the instance's CUDA_VISIBLE_DEVICES will be, where it will have one.
fn visible<'a>(plan: &'a Plan, options: &'a Options) -> Option<&'a str> {
    let name = "CUDA_VISIBLE_DEVICES";
    plan.env_set.get(name).or_else(|| options.environment.get(name)).map(String::as_str)
}

/// Every process of every instance that runs in the same run directory.
fn ours(plan: &Plan) -> BTreeSet<u32> {
    let run_dir = plan.state_dir.parent().and_then(Path::parent);
    let places = run_dir.map(state::instances).unwrap_or_default();
    let keepers = places.iter().filter_map(|place| place.keeper().ok().flatten());
    keepers.flat_map(tree::descendants).map(|process| process.pid).collect()
}
