//! Whether weights fit the memory of the GPUs that a plan gives them.
use crate::model_paths::ModelPaths;
use engine::Weights;
use gpu::{Device, VISIBLE, select};
use record::Plan;
use std::cell::OnceCell;
use tool::{Code, Failure};
use weights::{Report, rules};

/// Flags under which less of the weights is on each GPU than their files and the parallel sizes say.
const MEMORY_SAVING_FLAGS: [&str; 9] = [
    "cpu-offload-gb",
    "device",
    "enable-eplb",
    "enable-expert-parallel",
    "ep-size",
    "load-format",
    "quantization",
    "torchao-config",
    "offload-backend",
];

/// The GPUs of this machine. nvidia-smi takes its time: it is asked once, and only where that matters.
#[derive(Default)]
pub(crate) struct Gpus(OnceCell<Option<Vec<Device>>>);

impl Gpus {
    /// Why the weights do not fit; `None` where they do, or where that is not known.
    pub(crate) fn refuse(&self, plan: &Plan, named: &ModelPaths, report: &Report) -> Option<Failure> {
        let python = engine::of(plan.engine).weights == Weights::Folder;
        // llama.cpp leaves in main memory what does not fit.
        if !python || plan.gpu_ids == "none" || MEMORY_SAVING_FLAGS.iter().any(|flag| named.flags.has(flag)) {
            return None;
        }
        let gpus = named.gpus.unwrap_or(1);
        let bytes = loaded_bytes(report).checked_div(gpus).filter(|bytes| *bytes > 0)?;
        let devices = self.0.get_or_init(gpu::devices).as_deref()?;
        let dropped = plan.env_dropped.iter().any(|name| name == VISIBLE);
        let inherited = std::env::var(VISIBLE).ok().filter(|_| !dropped);
        let visible = plan.env_set.get(VISIBLE).cloned().or(inherited);
        let chosen = select(&plan.gpu_ids, visible.as_deref(), devices);
        let memory = chosen.filter(devices).map(|gpu| Some(gpu.memory.as_ref()?.total_bytes));
        let smallest = memory.collect::<Option<Vec<u64>>>()?.into_iter().min().filter(|bytes| *bytes > 0)?;
        if bytes <= smallest || !chosen.unknown.is_empty() {
            return None;
        }
        let what = format!("cannot load {} on the GPUs of {}", report.path.display(), plan.instance);
        let cause = format!(
            "each of {gpus} has to take {} MiB of weights, and has {} MiB",
            bytes >> 20,
            smallest >> 20
        );
        let hint = "spread it over more GPUs, give the instance larger ones, or take a quantised model";
        let mut failure = Failure::new(Code::Unmet, what, cause).hint(hint);
        failure.class = Some(rules::WEIGHTS_MEMORY.to_owned());
        Some(failure)
    }
}

/// Weights of 32 bits and more are loaded with 16, unless the engine is told otherwise.
fn loaded_bytes(report: &Report) -> u64 {
    let of = |(name, amount): (&String, &weights::Totals)| match name.as_str() {
        "F32" | "F64" => amount.parameters.saturating_mul(2),
        _ => amount.bytes,
    };
    report.types.iter().map(of).fold(0, u64::saturating_add)
}
