//! What keepers that were killed have left behind, ended before anything starts.
use record::{Keeper, Plan, Warning};
use state::Directory;
use std::os::unix::fs::MetadataExt;
use tool::{Failure, Io};
use tree::Swept;

/// Sweep the state directories of these plans whose keeper was lost, all at once: some engines take their time.
pub(crate) fn sweep(plans: &[Plan]) -> Vec<(&Plan, Swept)> {
    let lost: Vec<_> = plans.iter().filter_map(|plan| Some((plan, lost(plan)?))).collect();
    std::thread::scope(|scope| {
        let sweeps = lost.into_iter().map(|(plan, lost)| (plan, scope.spawn(move || lost.sweep())));
        // All are started before the first is waited for.
        let sweeps: Vec<_> = sweeps.collect();
        sweeps.into_iter().map(|(plan, sweep)| (plan, sweep.join().unwrap_or_default())).collect()
    })
}

/// Say what was found, where anything was.
pub(crate) fn tell(plan: &Plan, swept: Swept, io: &mut Io) -> Result<(), Failure> {
    let warning = |what: String, hint: &str| Warning {
        engine: Some(plan.engine),
        instance: Some(plan.instance.clone()),
        rule: "orphans".to_owned(),
        what,
        hint: hint.to_owned(),
    };
    let name = format!("{} {}", plan.engine, plan.instance);
    if let Some(pid) = swept.stuck {
        let what = format!("process {pid} of an earlier {name} was killed and does not end");
        return io.warn(warning(what, "it may hold its GPU memory and port; see what the kernel logs"));
    }
    if swept.ended > 0 {
        let what = format!("ended {} processes of an earlier {name} whose keeper was killed", swept.ended);
        return io
            .warn(warning(what, "see the kernel's log for who killed it, and stop instances with istop"));
    }
    Ok(())
}

/// A start whose keeper has gone without a last word.
struct Lost {
    mark: String,
    owner: (u32, u32),
    leader: Option<u32>,
}

impl Lost {
    fn sweep(self) -> Swept {
        tree::sweep(&self.mark, self.owner, self.leader)
    }
}

/// `status.json` is the keeper's, so its owner is whom the processes run as.
fn lost(plan: &Plan) -> Option<Lost> {
    let directory = Directory::at(&plan.state_dir);
    let Ok(Some((Keeper::Lost, status))) = directory.state() else { return None };
    let found = directory.path().join("status.json").metadata().ok()?;
    Some(Lost { mark: status.mark?, owner: (found.uid(), found.gid()), leader: status.pid })
}
