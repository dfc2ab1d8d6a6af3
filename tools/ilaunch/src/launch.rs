//! One instance on its way from plan to kept.
use crate::folders;
use crate::keeper::{self, Foreground, Starting};
use child::User;
use plan::Options;
use record::{Instance, Plan};
use state::{Directory, StartRequest};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tool::{Code, Failure, vars};

/// How long another keeper has to say which plan it keeps, and how often it is asked.
const STOP_WAIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// What a keeper needs beyond the engine's grace until it has ended an engine and starts it again.
const WAKE_LIMIT: Duration = Duration::from_secs(10);
/// As long as anybody waits for an engine, whatever its plan says.
const LONGEST_S: u64 = 24 * 3600;

/// One instance on its way.
pub(crate) struct Launch {
    pub(crate) plan: Plan,
    /// Another one was stopped for it.
    replaces: bool,
    /// What somebody else starts from the same plan at the same time will do.
    shares: bool,
    state: LaunchState,
}

/// How far it is.
enum LaunchState {
    /// It ran already, kept by this process.
    Reused(u32),
    /// Its keeper waits until what runs in its place has gone.
    Waiting(Starting, Option<User>),
    /// Its keeper was started.
    Starting(Starting),
    /// Its keeper has reported.
    Kept(u32, Option<Foreground>),
    /// Somebody else's keeper was there first.
    Busy(u32),
    /// It will not run.
    Failed(Failure),
}

impl Launch {
    /// Start its keeper, unless one lives.
    pub(crate) fn begin(ikeep: &Path, plan: Plan, options: &Options) -> Self {
        let state = begin(ikeep, &plan, options).unwrap_or_else(LaunchState::Failed);
        let shares = options.replace || plan.reused;
        Self { plan, replaces: false, shares, state }
    }

    /// Start its keeper, which waits for [`Launch::commit`], while another one keeps the instance.
    pub(crate) fn prepare(ikeep: &Path, plan: Plan, options: &Options) -> Result<Self, Failure> {
        let user = User::other(plan.user.as_deref(), &vars::user(plan.engine))?;
        folders::make_folders(&plan, user.as_ref())?;
        let request = start_request(&plan, options)?;
        let starting = Starting::prepare(ikeep, &request, user.as_ref())?;
        Ok(Self { plan, replaces: true, shares: true, state: LaunchState::Waiting(starting, user) })
    }

    /// The keeper that has the instance is told to stop now.
    pub(crate) fn announce_stop(&mut self, keeper: u32) {
        if let LaunchState::Waiting(starting, _) = &mut self.state {
            starting.announce_stop(keeper);
        }
    }

    /// Nobody keeps the instance any more: let the keeper begin that was prepared.
    pub(crate) fn commit(mut self) -> Self {
        if let LaunchState::Waiting(mut starting, user) = self.state {
            self.state = match folders::hand_over(&self.plan, user.as_ref()) {
                Ok(()) => {
                    starting.commit();
                    LaunchState::Starting(starting)
                }
                Err(failure) => {
                    starting.abandon();
                    LaunchState::Failed(failure)
                }
            };
        }
        self
    }

    /// Give up one that was prepared.
    pub(crate) fn abandon(self) {
        if let LaunchState::Waiting(starting, _) = self.state {
            starting.abandon();
        }
    }

    /// Whether somebody else has started the instance from this very plan.
    pub(crate) fn is_kept(&self) -> bool {
        let keeper = keeper::live_keeper(&Directory::at(&self.plan.state_dir)).ok().flatten();
        keeper.is_some_and(|pid| matches!(kept_already(&self.plan, pid), LaunchState::Reused(_)))
    }

    pub(crate) fn state_dir(&self) -> &Path {
        &self.plan.state_dir
    }

    /// Wait for the keeper's report.
    pub(crate) fn settle(&mut self) {
        // What stands there in between is never seen.
        let state = std::mem::replace(&mut self.state, LaunchState::Reused(0));
        self.state = match state {
            LaunchState::Starting(starting) => {
                let own = starting.pid();
                match starting.wait_for_report() {
                    Ok((keeper_pid, foreground)) => LaunchState::Kept(keeper_pid, foreground),
                    Err(failure) => {
                        let other = (failure.code == Code::Later).then(|| other(&self.plan, own)).flatten();
                        match other {
                            Some(pid) if self.shares => kept_already(&self.plan, pid),
                            Some(pid) => LaunchState::Busy(pid),
                            None => LaunchState::Failed(failure),
                        }
                    }
                }
            }
            settled => settled,
        };
    }

    /// The record of what is kept now.
    pub(crate) fn finish(mut self) -> Result<(Instance, Option<Foreground>), Failure> {
        self.settle();
        match self.state {
            LaunchState::Failed(failure) if self.replaces => Err(not_replaced(&self.plan, failure)),
            LaunchState::Failed(failure) => Err(failure),
            LaunchState::Busy(pid) => Err(keeper::busy(&self.plan, pid)),
            LaunchState::Kept(keeper_pid, foreground) => Ok((instance(keeper_pid, self.plan), foreground)),
            LaunchState::Reused(keeper_pid) => {
                reused(keeper_pid, &self.plan).map(|instance| (instance, None))
            }
            LaunchState::Starting(_) | LaunchState::Waiting(..) => {
                Err(Failure::new(Code::Later, "cannot keep the instance", "no report"))
            }
        }
    }
}

fn begin(ikeep: &Path, plan: &Plan, options: &Options) -> Result<LaunchState, Failure> {
    if let Some(pid) = keeper::live_keeper(&Directory::at(&plan.state_dir))? {
        log::info!("{} {} is kept by process {pid} already", plan.engine, plan.instance);
        if plan.reused {
            // Whoever launches an instance wants it.
            let grace = Duration::from_secs(plan.control.stop_timeout_s.min(LONGEST_S));
            stop::awake(&Directory::at(&plan.state_dir), grace + WAKE_LIMIT)?;
        }
        return Ok(match plan.reused {
            true => LaunchState::Reused(pid),
            false if options.replace => kept_already(plan, pid),
            false => LaunchState::Busy(pid),
        });
    }
    let request = start_request(plan, options)?;
    let user = User::other(plan.user.as_deref(), &vars::user(plan.engine))?;
    let who = user.as_ref().map_or("this user", |user| &user.name);
    log::info!(
        "starts a keeper for {} {} as {who}, its state in {}, its log {}",
        plan.engine,
        plan.instance,
        plan.state_dir.display(),
        plan.log_file.display()
    );
    folders::make_folders(plan, user.as_ref())?;
    folders::hand_over(plan, user.as_ref())?;
    Starting::start(ikeep, &request, user.as_ref()).map(LaunchState::Starting)
}

/// The keeper of the instance, where it is another process than ours.
fn other(plan: &Plan, own: u32) -> Option<u32> {
    keeper::live_keeper(&Directory::at(&plan.state_dir)).ok()?.filter(|pid| *pid != own)
}

/// Somebody else restarted the instance at the same time. Where it runs from the very plan that came, all is well; it may
/// only just have begun to say from which.
fn kept_already(plan: &Plan, pid: u32) -> LaunchState {
    let directory = Directory::at(&plan.state_dir);
    let is_ours = || matches!(directory.plan(), Ok(Some(running)) if running.hash == plan.hash);
    let until = Instant::now() + STOP_WAIT;
    while plan.control.background && Instant::now() < until {
        if is_ours() {
            return LaunchState::Reused(pid);
        }
        thread::sleep(PAUSE);
    }
    LaunchState::Busy(pid)
}

fn start_request(plan: &Plan, options: &Options) -> Result<StartRequest, Failure> {
    let secrets = plan::secrets(plan, options)?;
    let mut request = StartRequest { plan: plan.clone(), secrets };
    // Ours, who may be another caller than the one that planned.
    let dropped = plan::dropped(plan, options).into_iter().filter(|name| !plan.env_dropped.contains(name));
    request.plan.env_dropped.extend(dropped);
    Ok(request)
}

/// The old one is gone and the new one does not run: nothing does, and that is said first.
fn not_replaced(plan: &Plan, mut failure: Failure) -> Failure {
    let Plan { engine, instance, .. } = plan;
    failure.what =
        format!("{engine} {instance} was stopped and its new plan did not start: {}", failure.what);
    failure
}

/// What runs, not what was planned.
fn reused(keeper_pid: u32, plan: &Plan) -> Result<Instance, Failure> {
    let what = || format!("cannot read {}", plan.state_dir.join("plan.json").display());
    let running = Directory::at(&plan.state_dir)
        .plan()
        .map_err(|error| Failure::io(Code::Unmet, what(), &error))?
        .ok_or_else(|| Failure::new(Code::Later, what(), "the instance is only just starting"))?;
    let stale = plan.stale || running.hash != plan.hash;
    Ok(Instance { reused: true, stale, ..instance(keeper_pid, running) })
}

fn instance(keeper_pid: u32, plan: Plan) -> Instance {
    let program = plan.program.to_string_lossy().into_owned();
    Instance {
        engine: plan.engine,
        instance: plan.instance,
        keeper_pid,
        state_dir: plan.state_dir,
        argv: std::iter::once(program).chain(plan.args).collect(),
        env_set: plan.env_set,
        gpu_ids: plan.gpu_ids,
        host: plan.host,
        port: plan.port,
        served_name: plan.served_name,
        log_file: plan.log_file,
        reused: false,
        stale: false,
    }
}
