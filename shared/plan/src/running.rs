//! Instances that run and are not going to stop.
use crate::stopping::Stopping;
use config::rules::PORT_IN_USE;
use failure::{Code, Failure};
use record::Plan;
use state::Directory;

/// Instances that run and are not going to stop.
#[derive(Debug, Default)]
pub struct RunningInstances(Vec<Stopping>);

impl RunningInstances {
    /// Those of these state directories where anything runs.
    #[must_use]
    pub fn of(places: impl IntoIterator<Item = Directory>) -> Self {
        Self(places.into_iter().filter_map(|place| Stopping::at(&place, "")).filter(Stopping::runs).collect())
    }

    /// The failure of a plan whose port one of them has, another instance of course.
    #[must_use]
    pub fn taken(&self, plan: &Plan) -> Option<Failure> {
        let mut others = self.0.iter().filter(|other| other.place.path() != plan.state_dir);
        let holder = others.find(|other| other.claims_port_of(plan) && other.holds_port_of(plan))?;
        let what = format!("port {} of {} {} is in use", plan.port, plan.engine, plan.instance);
        let failure = Failure::new(Code::Later, what, format!("{} runs on it", holder.name));
        let hint =
            "stop it with istop, or with ilaunch: --prune if no plan names it, --replace if its plan changed";
        let mut failure = failure.hint(hint);
        failure.class = Some(PORT_IN_USE.to_owned());
        Some(failure)
    }
}

/// The failure of a plan whose port another instance in the same run directory has.
pub(crate) fn holder(plan: &Plan) -> Option<Failure> {
    let run_dir = plan.state_dir.parent()?.parent()?;
    RunningInstances::of(state::instances(run_dir).places).taken(plan)
}
