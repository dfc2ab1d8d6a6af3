//! Instances that run and that another option of `ilaunch` would stop before anything starts.
use crate::draft::Draft;
use crate::leftover::Leftover;
use crate::port;
use record::Plan;
use state::Directory;

/// One of them.
#[derive(Debug)]
pub(crate) struct Stopping {
    pub(crate) name: String,
    /// How it is made to go.
    pub(crate) hint: &'static str,
    /// What it runs from.
    plan: Plan,
    pub(crate) place: Directory,
}

impl Stopping {
    /// The one that runs in a state directory; `None` where nothing of it is left, or nothing can be read.
    pub(crate) fn at(place: &Directory, hint: &'static str) -> Option<Self> {
        let plan = place.plan().ok()??;
        let name = format!("{} {}", place.engine()?, place.instance()?);
        Some(Self { name, hint, plan, place: place.clone() })
    }

    /// Whether it, and nobody beside it, has the port of `plan`.
    pub(crate) fn holds_port_of(&self, plan: &Plan) -> bool {
        self.claims_port_of(plan) && port::is_held_by(plan.port, &self.processes())
    }

    /// Whether its own plan has the port of `plan`.
    pub(crate) fn claims_port_of(&self, plan: &Plan) -> bool {
        self.plan.port == plan.port && port::overlap(&self.plan.host, &plan.host)
    }

    /// Whether its keeper lives.
    pub(crate) fn runs(&self) -> bool {
        self.place.keeper().is_ok_and(|keeper| keeper.is_some())
    }

    fn processes(&self) -> Vec<u32> {
        let kept = self.place.keeper().ok().flatten().map(tree::family);
        let left = || {
            let (_, status) = self.place.state().ok()??;
            Some(tree::find_by_instance_id(&status.instance_id?, &self.place.user().ok()?))
        };
        kept.or_else(left).unwrap_or_default().into_iter().map(|process| process.pid).collect()
    }
}

/// Those that no plan names any more, and those that run from another plan.
pub(crate) fn all(drafts: &[&mut Draft], leftovers: &[&Leftover]) -> Vec<Stopping> {
    // One that cannot be planned is not restarted.
    let restarts = |draft: &&&mut Draft| draft.plan.stale && draft.failures.is_empty();
    let stale = drafts.iter().filter(restarts).filter_map(|draft| {
        Stopping::at(&Directory::at(&draft.plan.state_dir), "ilaunch --replace restarts that one first")
    });
    let unplanned = leftovers.iter().filter(|leftover| leftover.runs);
    let unplanned = unplanned
        .filter_map(|leftover| Stopping::at(&leftover.place, "ilaunch --prune stops that one first"));
    stale.chain(unplanned).collect()
}
