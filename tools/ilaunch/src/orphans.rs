//! What keepers that were killed have left behind, ended before anything starts.
use record::{Keeper, Plan, Warning};
use state::Directory;
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

/// Sweep the state directories of those plans whose keeper was lost, all at once: some engines take their time.
fn sweep(plans: &[Plan]) -> Vec<Result<Swept, Failure>> {
    let lost: Vec<Option<Lost>> = plans.iter().map(lost).collect();
    tool::thread::each("sweep", &lost, |lost| lost.as_ref().map(Lost::sweep).unwrap_or_default())
}

/// A start whose keeper has gone without a last word.
struct Lost {
    mark: String,
    owner: (u32, u32),
    leader: Option<u32>,
}

impl Lost {
    fn sweep(&self) -> Swept {
        tree::sweep(&self.mark, self.owner, self.leader)
    }
}

fn lost(plan: &Plan) -> Option<Lost> {
    let directory = Directory::at(&plan.state_dir);
    let Ok(Some((Keeper::Lost, status))) = directory.state() else { return None };
    Some(Lost { mark: status.mark?, owner: directory.owner().ok()?, leader: status.pid })
}
