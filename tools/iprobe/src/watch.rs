//! One instance, followed through its state directory until it is ready or will not be.
use crate::expected_model::ExpectedModel;
use crate::given;
use crate::processes::processes;
use crate::readiness::{ReadinessProbe, Step};
use crate::state_dir::{nothing_kept, plan_of, unreadable};
use crate::watchdog::{ProgressWatchdog, WaitError};
use ask::Target;
use diagnose::Class;
use gpu::Meter;
use owner::Owner;
use record::{Engine, KeeperState, Ready, Rung};
use state::{Directory, Status};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tool::{Code, Failure};
use tree::Process;

/// A stranger on our port may be on its way out; after this it is not.
const FOREIGN_GRACE: Duration = Duration::from_secs(3);
/// How long a keeper needs at most to see what we have seen, and how often is looked whether it has.
const KEEPER_SEES: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// As long as anybody waits, whatever a plan says.
const LONGEST_S: u64 = 30 * 24 * 3600;
/// nvidia-smi takes a second and longer where there are many GPUs.
const GPU_EVERY: Duration = Duration::from_secs(5);

/// What the command line says instead of the plan.
#[derive(Clone, Debug)]
pub(crate) struct ProbeOptions {
    pub(crate) rung: Option<Rung>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) answers: Option<PathBuf>,
}

/// What a person is shown of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub(crate) state: KeeperState,
    pub(crate) rung: Option<Rung>,
    pub(crate) read_bytes: u64,
}

/// One instance that is waited for.
pub(crate) struct Watch {
    engine: Engine,
    instance: String,
    directory: Directory,
    user: Owner,
    host: String,
    port: u16,
    readiness: ReadinessProbe,
    watchdog: ProgressWatchdog,
    /// `gpu_ids`, and the variable that says which all are.
    gpus: (String, Option<String>),
    /// The start that the ladder stands on.
    pid: Option<u32>,
    why: String,
    foreign_since: Option<Instant>,
}

impl Watch {
    /// From what its keeper wrote.
    pub(crate) fn new(directory: Directory, options: &ProbeOptions) -> Result<Self, Failure> {
        let plan = plan_of(&directory)?;
        let key = match &options.key_file {
            Some(file) => Some(given::read_key(file)?),
            None => directory.api_key().map_err(|error| unreadable(&directory, "api-key", &error))?,
        };
        let user = directory.user().map_err(|error| unreadable(&directory, "", &error))?;
        // Its user can write any plan: whose it is the path says.
        let (Some(engine), Some(instance)) = (directory.engine(), directory.instance().map(str::to_owned))
        else {
            return Err(nothing_kept(&directory));
        };
        let target = Target::of_plan(&plan, &user).with_key(key);
        let expected = ExpectedModel::of(&plan);
        let goal = options.rung.unwrap_or(plan.control.ready_rung);
        let known = match (&options.answers, &plan.control.known_answer) {
            (Some(file), _) => given::known(goal, Some(file), None)?,
            (None, file) => given::known(goal, file.as_deref(), Some(&user))?,
        };
        let cap = options.timeout.unwrap_or(Duration::from_secs(plan.control.ready_timeout_s.min(LONGEST_S)));
        let stall = Duration::from_secs(plan.control.stall_timeout_s.min(LONGEST_S));
        Ok(Self {
            engine,
            instance,
            directory,
            host: plan.host,
            port: plan.port,
            readiness: ReadinessProbe::new(target, &engine::of(engine).probe, expected, goal)
                .with_answers(known),
            watchdog: ProgressWatchdog::new(cap, stall, (user.clone(), plan.log_file)),
            user,
            gpus: (plan.gpu_ids, plan.env_set.get(gpu::VISIBLE).cloned()),
            pid: None,
            why: "nothing was asked yet".to_owned(),
            foreign_since: None,
        })
    }

    /// Engine and name.
    pub(crate) fn name(&self) -> (Engine, String) {
        (self.engine, self.instance.clone())
    }

    /// Wait. `tell` gets each event; `meter` knows who holds GPU memory.
    pub(crate) fn until_ready(
        mut self,
        tell: &dyn Fn(Observation),
        meter: &Arc<Meter>,
    ) -> Result<Ready, Failure> {
        let probe = &engine::of(self.engine).probe;
        loop {
            let (state, status) = self.state()?;
            tell(Observation { state, rung: self.readiness.rung(), read_bytes: self.watchdog.read_bytes });
            match state {
                KeeperState::Failed | KeeperState::Stopped | KeeperState::Asleep | KeeperState::Lost => {
                    return Err(self.ended(state, &status));
                }
                KeeperState::Waiting | KeeperState::Backoff | KeeperState::Stopping => self.watchdog.pause(),
                KeeperState::Running => match self.ask(&status)? {
                    Step::Ready if self.kept_as_healthy(&status) => return Ok(self.ready()),
                    Step::Ready => {
                        self.not_yet("its keeper has not seen it healthy".to_owned(), &status, meter)?;
                        thread::sleep(POLL_INTERVAL);
                        continue;
                    }
                    Step::Advanced => {
                        self.watchdog.rung_reached();
                        continue;
                    }
                    Step::Moved(why) => {
                        self.watchdog.rung_reached();
                        self.not_yet(why, &status, meter)?;
                    }
                    Step::Pending(why) => {
                        self.foreign_since = None;
                        self.not_yet(why, &status, meter)?;
                    }
                    Step::PortConflict(who) => self.foreign(who, &status, meter)?,
                },
            }
            // So the pause is never what most of a short wait consists of.
            thread::sleep((self.watchdog.ran() / 20).clamp(probe.first_pause, probe.last_pause));
        }
    }

    /// One look, without waiting.
    pub(crate) fn once(mut self) -> Result<(), Failure> {
        let (state, status) = self.state()?;
        if state != KeeperState::Running {
            return Err(Failure::new(Code::No, self.not_ready(), format!("it is {}", state.id())));
        }
        loop {
            match self.ask(&status)? {
                Step::Ready => return self.wait_for_keeper(),
                Step::Advanced => {}
                Step::Pending(why) | Step::Moved(why) | Step::PortConflict(why) => {
                    return Err(Failure::new(Code::No, self.not_ready(), why));
                }
            }
        }
    }

    /// An engine that its keeper never saw healthy is not started again. Who calls it ready says that it will be.
    fn kept_as_healthy(&self, status: &Status) -> bool {
        self.readiness.rung() < Some(Rung::Healthy) || status.healthy_unix.is_some()
    }

    /// The same for a single look, which waits no longer than a keeper needs.
    fn wait_for_keeper(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        while !self.kept_as_healthy(&self.state()?.1) && begun.elapsed() < KEEPER_SEES {
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn state(&self) -> Result<(KeeperState, Status), Failure> {
        let unreadable = |name: &'static str| move |error| unreadable(&self.directory, name, &error);
        // First alone, so that a failure names the file that it is of.
        self.directory.keeper().map_err(unreadable("lock"))?;
        let state = self.directory.settled_state().map_err(unreadable("status.json"))?;
        state.ok_or_else(|| nothing_kept(&self.directory))
    }

    fn ask(&mut self, status: &Status) -> Result<Step, Failure> {
        let anew = self.pid != status.pid;
        if anew {
            self.readiness.reset();
            self.pid = status.pid;
        }
        self.watchdog.resume(anew);
        if status.pid.is_none() {
            return Ok(Step::Pending("the engine is being started".to_owned()));
        }
        let (host, port, user) = (self.host.clone(), self.port, self.user.clone());
        let keeper = status.keeper_pid;
        self.readiness.step(self.watchdog.left(), &|| tree::answers(&host, port, keeper, &user))
    }

    fn foreign(&mut self, who: String, status: &Status, meter: &Arc<Meter>) -> Result<(), Failure> {
        if self.foreign_since.get_or_insert_with(Instant::now).elapsed() > FOREIGN_GRACE {
            let failure = Failure::new(Code::Later, self.not_ready(), who);
            return Err(failure.hint("stop the other server, or give this instance another port"));
        }
        self.not_yet(who, status, meter)
    }

    fn not_yet(&mut self, why: String, status: &Status, meter: &Arc<Meter>) -> Result<(), Failure> {
        self.why = why;
        let (keeper, user) = (status.keeper_pid, self.user.clone());
        let look = || {
            let (processes, usage) = processes(keeper, &user);
            let gpu_bytes = gpu_bytes(meter, &processes, &self.gpus);
            (processes, usage, gpu_bytes)
        };
        self.watchdog.check(look).map_err(|enough| {
            let cause = match enough {
                WaitError::TimedOut(cap) => format!("{} s are over; {}", cap.as_secs_f64(), self.why),
                WaitError::Stalled(stall) => {
                    format!("no sign of progress for {} s; {}", stall.as_secs_f64(), self.why)
                }
            };
            let failure = Failure::new(Code::Later, self.not_ready(), cause);
            failure.hint(format!("it goes on running; its log is {}", status.log_file.display()))
        })
    }

    fn ended(&self, state: KeeperState, status: &Status) -> Failure {
        let cause = match state {
            KeeperState::Stopped => "it was told to stop",
            KeeperState::Lost => "its keeper is gone",
            KeeperState::Asleep => {
                "it is asleep: nobody asked for idle_stop_s; a request through ibridge starts it, or ilaunch"
            }
            _ => status.reason.as_deref().unwrap_or("the engine ended"),
        };
        let whole = format!("the whole log is {}", status.log_file.display());
        let mut failure = Failure::new(Code::No, self.not_ready(), cause);
        failure.exit.clone_from(&status.last_exit);
        failure.log_tail = state::log_tail(&self.user, &status.log_file);
        if state != KeeperState::Failed {
            return failure.hint(whole);
        }
        if let Some(evidence) = &status.evidence {
            failure.cause = format!("{cause}: {evidence}");
        }
        failure.class.clone_from(&status.class);
        let class = Class::ALL.into_iter().find(|class| status.class.as_deref() == Some(class.id()));
        let hint = class.map(|class| class.hint(self.engine, status.evidence.as_deref()));
        failure.hint(hint.map_or_else(|| whole.clone(), |hint| format!("{hint}; {whole}")))
    }

    fn not_ready(&self) -> String {
        format!("{}/{} is not ready", self.engine, self.instance)
    }

    fn ready(self) -> Ready {
        let rung = self.readiness.rung().unwrap_or(Rung::Alive);
        Ready {
            engine: self.engine,
            instance: self.instance,
            url: self.readiness.target.url().to_owned(),
            rung,
            alive_ms: self.readiness.ms(Rung::Alive),
            healthy_ms: self.readiness.ms(Rung::Healthy),
            listed_ms: self.readiness.ms(Rung::Listed),
            answering_ms: self.readiness.ms(Rung::Answering),
            correct_ms: self.readiness.ms(Rung::Correct),
            model_id: self.readiness.model,
        }
    }
}

/// By the last answer; where the driver names nobody, what is used on the instance's GPUs.
fn gpu_bytes(meter: &Arc<Meter>, processes: &[Process], gpus: &(String, Option<String>)) -> u64 {
    if gpus.0 == "none" {
        return 0;
    }
    let pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    meter.recent(GPU_EVERY).map_or(0, |reading| reading.held(&pids, &gpus.0, gpus.1.as_deref()))
}
