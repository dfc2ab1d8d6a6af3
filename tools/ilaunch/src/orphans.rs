//! What keepers that were killed have left behind, ended before anything starts.
use owner::Owner;
use record::{KeeperState, Plan, Warning};
use state::{Directory, Unrecorded};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use tool::{Code, Failure, Io};
use tree::Swept;

/// End them and say so. A plan whose processes do not end fails: they hold its port, and its GPUs' memory.
pub(crate) fn end(plans: Vec<Plan>, io: &mut Io) -> Result<Vec<Plan>, Failure> {
    let swept = sweep(&plans);
    let mut may_start = Vec::new();
    for (plan, swept) in plans.into_iter().zip(swept) {
        let name = format!("{} {}", plan.engine, plan.instance);
        let Swept { ended, stuck, .. } = match swept {
            Ok(swept) => swept,
            Err(failure) => {
                io.fail((plan.engine, plan.instance.as_str()), failure)?;
                continue;
            }
        };
        if let Some(pid) = stuck {
            let cause = format!("process {pid} of an earlier start was killed and does not end");
            let failure = Failure::new(Code::Later, format!("cannot start {name}"), cause);
            let hint = "a driver may hold it; see what the kernel logs";
            io.fail((plan.engine, plan.instance.as_str()), failure.hint(hint))?;
            continue;
        }
        if ended > 0 {
            io.warn(Warning {
                engine: Some(plan.engine),
                instance: Some(plan.instance.clone()),
                rule: "orphans".to_owned(),
                what: format!("ended {ended} processes of an earlier {name} whose keeper was killed"),
                hint: "see the kernel's log for who killed it, and stop instances with istop".to_owned(),
            })?;
        }
        may_start.push(plan);
    }
    Ok(may_start)
}

/// Sweep what is left of those plans whose keeper was lost, all at once: some engines take their time.
fn sweep(plans: &[Plan]) -> Vec<Result<Swept, Failure>> {
    let unrecorded = unrecorded(plans);
    let all: Vec<Result<Option<LostInstance>, Failure>> = plans
        .iter()
        .map(|plan| match lost(plan)? {
            None => unrecorded.as_ref().map(|all| unrecorded_of(plan, all)).map_err(Clone::clone),
            found => Ok(found),
        })
        .collect();
    // Most starts have nobody to sweep, and need no thread for it.
    let found: Vec<&LostInstance> = all.iter().filter_map(|lost| lost.as_ref().ok()?.as_ref()).collect();
    let mut swept = tool::thread::each("sweep", &found, |lost| lost.sweep()).into_iter();
    let of = |lost: &Result<Option<LostInstance>, Failure>| match lost {
        Ok(None) => Ok(Swept::default()),
        Ok(Some(_)) => swept.next().unwrap_or_else(|| Err(tool::thread::no_answer("sweep")))?,
        Err(failure) => Err(failure.clone()),
    };
    all.iter().map(of).collect()
}

/// Starts whose keeper has gone without writing a final state.
struct LostInstance {
    instance_ids: Vec<String>,
    user: Owner,
    leader: Option<u32>,
    /// What it left in /dev/shm.
    segments: Vec<tree::Segment>,
}

impl LostInstance {
    fn sweep(&self) -> Result<Swept, Failure> {
        let mut all = Swept::default();
        for id in &self.instance_ids {
            let Swept { ended, killed, stuck } =
                tree::sweep(id, &self.user, self.leader).map_err(|error| {
                    Failure::io(Code::Unmet, "cannot look for what an earlier start left", &error)
                })?;
            all = Swept { ended: all.ended + ended, killed: all.killed | killed, stuck: all.stuck.or(stuck) };
        }
        if all.stuck.is_none() {
            tree::remove(&self.segments, &self.user);
        }
        Ok(all)
    }
}

fn lost(plan: &Plan) -> Result<Option<LostInstance>, Failure> {
    let directory = Directory::at(&plan.state_dir);
    let cannot =
        |error| Failure::io(Code::Unmet, format!("cannot read {}", plan.state_dir.display()), &error);
    let status = match directory.state() {
        Ok(Some((KeeperState::Lost, status))) => status,
        // A damaged state says nothing of what ran, and is written anew.
        Err(error) if error.kind() != io::ErrorKind::InvalidData && error.raw_os_error().is_some() => {
            return Err(cannot(error));
        }
        _ => return Ok(None),
    };
    let user = directory.user().map_err(cannot)?;
    let segments = status.segments;
    Ok(status.instance_id.map(|id| LostInstance {
        instance_ids: vec![id],
        user,
        leader: status.pid,
        segments,
    }))
}

/// What runs below the run directories of those plans of which nothing is known. All processes are looked at for it.
fn unrecorded(plans: &[Plan]) -> Result<Vec<Unrecorded>, Failure> {
    let unknown = plans.iter().filter(|plan| matches!(Directory::at(&plan.state_dir).status(), Ok(None)));
    let run_dirs: BTreeSet<&Path> = unknown.filter_map(|plan| plan.state_dir.parent()?.parent()).collect();
    let found: Result<Vec<_>, _> =
        run_dirs.into_iter().map(|run_dir| state::find_unrecorded(Some(run_dir))).collect();
    Ok(found?.into_iter().flatten().collect())
}

/// One whose state directory was removed too. A keeper that lives writes its own again, and no second one starts beside it.
fn unrecorded_of(plan: &Plan, unrecorded: &[Unrecorded]) -> Option<LostInstance> {
    let orphan = |found: &&Unrecorded| found.state_dir == plan.state_dir && found.keeper.is_none();
    let Unrecorded { instance_ids, owner, .. } = unrecorded.iter().find(orphan)?;
    Some(LostInstance {
        instance_ids: instance_ids.clone(),
        user: owner.clone(),
        leader: None,
        segments: Vec::new(),
    })
}
