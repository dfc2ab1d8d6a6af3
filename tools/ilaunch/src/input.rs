//! What is to run, and what is not, from the stream.
use plan::{Options, Planner, Plans};
use record::{Engine, Env, Plan, Record, Step};
use tool::{Code, Failure, Io};

/// The stream, read to its end.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// What is to run.
    pub(crate) plans: Vec<Plan>,
    /// What the configuration does not want.
    pub(crate) unwanted: Vec<(Engine, String)>,
    /// The contract of each engine that came by.
    pub(crate) envs: Vec<Env>,
}

/// Every plan that nothing ended before its turn; ours where iplan left no trace.
pub(crate) fn read(io: &mut Io, options: &Options) -> Result<Input, Failure> {
    let mut input = Input::default();
    let mut gathered = Planner::default();
    let mut iplan = false;
    while let Some(record) = io.read()? {
        gathered.note(&record);
        match record {
            Record::Env(env) => {
                input.envs.retain(|before| before.engine != env.engine);
                input.envs.push(env);
            }
            Record::Plan(plan) => input.plans.push(plan),
            Record::Failed(failed) => iplan |= failed.by == "iplan",
            Record::Skipped(skipped) if skipped.by == "iplan" => {
                input.unwanted.extend(skipped.instance.map(|name| (skipped.engine, name)));
            }
            _ => {}
        }
    }
    if io.gone() {
        // The stream was not read to its end: what stood there is not known, nor who would hear of a start.
        return Ok(Input::default());
    }
    gathered.refuse_other_users(io)?;
    iplan |= !input.plans.is_empty() || io.skipped_by("iplan");
    if !gathered.is_empty() && !iplan {
        let Plans { plans, unwanted } = gathered.plan(io, options)?;
        return Ok(Input { plans, unwanted, ..input });
    }
    io.require("plan", &["iplan", "ienv"])?;
    input.plans.retain(|plan| !io.ended((plan.engine, plan.instance.as_str())));
    let wants = |plan: &Plan| io.wants(plan.engine, Step::Serve);
    let (wanted, others): (Vec<_>, Vec<_>) = input.plans.into_iter().partition(wants);
    for plan in others {
        io.skip((plan.engine, plan.instance.as_str()), "step serve was not asked for")?;
    }
    Ok(Input { plans: wanted, ..input })
}

/// An instance in the foreground is the only one, over all engines: its exit code is ours.
pub(crate) fn only_one_in_front(plans: Vec<Plan>, io: &mut Io) -> Result<Vec<Plan>, Failure> {
    if plans.len() < 2 {
        return Ok(plans);
    }
    let (behind, front): (Vec<_>, Vec<_>) = plans.into_iter().partition(|plan| plan.control.background);
    for plan in front {
        let what = format!("cannot start {} {} in the foreground", plan.engine, plan.instance);
        let failure = Failure::new(Code::Input, what, "it is not the only instance")
            .hint("set control.background = true, or pipe one engine with one enabled instance");
        io.fail((plan.engine, plan.instance.as_str()), failure)?;
    }
    Ok(behind)
}
