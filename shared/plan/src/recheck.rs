//! What is checked again before something that runs is stopped for a plan, or a port is taken.
use crate::arguments::Arguments;
use crate::draft::{Draft, gpus_needed};
use crate::extra::parse_tokens;
use crate::options::Options;
use crate::preflight;
use crate::stopping::Stopping;
use failure::{Code, Failure};
use record::Plan;
use state::Directory;

/// Check a plan whose instance still runs from another one, as if it were to start now: its program and install, port,
/// model, log and GPUs. A port that instances of the state directories `leaving` hold counts as free. What is wrong comes
/// back, all of it.
#[must_use]
pub fn recheck(plan: &Plan, options: &Options, leaving: &[Directory]) -> Vec<Failure> {
    let profile = engine::of(plan.engine);
    let arguments = Arguments { extra: parse_tokens(&plan.args, profile), ..Arguments::default() };
    let leaving: Vec<Stopping> = leaving.iter().filter_map(|place| Stopping::at(place, "")).collect();
    let visible = plan.env_set.get(gpu::VISIBLE).or_else(|| options.environment.get(gpu::VISIBLE));
    let mut draft = Draft {
        gpus_needed: gpus_needed(&arguments, profile),
        visible: visible.cloned(),
        model_elsewhere: plan.engine == record::Engine::Bridge
            || profile.model_elsewhere.iter().any(|flag| arguments.value(flag).is_some()),
        warnings: Vec::new(),
        failures: missing(plan).into_iter().collect(),
        plan: plan.clone(),
    };
    preflight::check_alone(&mut draft, &leaving);
    let asks = plan.gpu_ids != "all" || draft.gpus_needed.is_some_and(|count| count > 1);
    if plan.gpu_ids != "none"
        && asks
        && let Some(gpus) = gpu::devices()
    {
        let chosen = gpu::select(&plan.gpu_ids, draft.visible.as_deref(), &gpus);
        preflight::check_gpu_ids(&mut draft, &chosen, &gpus);
    }
    draft.failures
}

/// The program, or its install, is not there any more.
fn missing(plan: &Plan) -> Option<Failure> {
    let record = plan.install_path.as_deref().map(install::marker_of);
    let mut needed = std::iter::once(plan.program.clone()).chain(record);
    needed.find_map(|path| {
        let error = owner::metadata(&path).err()?;
        let what = format!("cannot use {}", path.display());
        Some(Failure::io(Code::Unmet, what, &error).hint("install it, and plan again"))
    })
}
