//! One instance, followed through its state directory until it is ready or will not be.
use crate::climb::{Climb, Expected, Step};
use crate::given;
use crate::patience::{Enough, Patience};
use crate::processes::processes;
use ask::Target;
use diagnose::Class;
use gpu::Meter;
use owner::Owner;
use record::{Engine, Keeper, Plan, Ready, Rung};
use state::{Directory, Status};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tool::{Code, Failure};
use tree::Process;

/// A stranger on our port may be on its way out; after this it is not.
const STRANGER: Duration = Duration::from_secs(3);
/// How long a keeper needs at most to see what we have seen, and how often is looked whether it has.
const KEEPER_SEES: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(5);
/// As long as anybody waits, whatever a plan says.
const LONGEST_S: u64 = 30 * 24 * 3600;
/// nvidia-smi takes a second and longer where there are many GPUs.
const GPU_EVERY: Duration = Duration::from_secs(5);

/// What the command line says instead of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) rung: Option<Rung>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) answers: Option<PathBuf>,
}

/// What a person is shown of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) state: Keeper,
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
    climb: Climb,
    patience: Patience,
    /// `gpu_ids`, and the variable that says which all are.
    gpus: (String, Option<String>),
    /// The start that the ladder stands on.
    pid: Option<u32>,
    why: String,
    stranger_since: Option<Instant>,
}

impl Watch {
    /// From what its keeper wrote.
    pub(crate) fn new(directory: Directory, wanted: &Wanted) -> Result<Self, Failure> {
        let plan = plan_of(&directory)?;
        let key = match &wanted.key_file {
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
        let expected = Expected::of(&plan);
        let goal = wanted.rung.unwrap_or(plan.control.ready_rung);
        let known = match (&wanted.answers, &plan.control.known_answer) {
            (Some(file), _) => given::known(goal, Some(file), None)?,
            (None, file) => given::known(goal, file.as_deref(), Some(&user))?,
        };
        let cap = wanted.timeout.unwrap_or(Duration::from_secs(plan.control.ready_timeout_s.min(LONGEST_S)));
        let stall = Duration::from_secs(plan.control.stall_timeout_s.min(LONGEST_S));
        Ok(Self {
            engine,
            instance,
            directory,
            host: plan.host,
            port: plan.port,
            climb: Climb::new(target, &engine::of(engine).probe, expected, goal).with_answers(known),
            patience: Patience::new(cap, stall, (user.clone(), plan.log_file)),
            user,
            gpus: (plan.gpu_ids, plan.env_set.get(gpu::VISIBLE).cloned()),
            pid: None,
            why: "nothing was asked yet".to_owned(),
            stranger_since: None,
        })
    }

    /// Engine and name.
    pub(crate) fn name(&self) -> (Engine, String) {
        (self.engine, self.instance.clone())
    }

    /// Wait. `tell` hears how it goes; `meter` knows who holds GPU memory.
    pub(crate) fn until_ready(mut self, tell: &dyn Fn(Seen), meter: &Arc<Meter>) -> Result<Ready, Failure> {
        let probe = &engine::of(self.engine).probe;
        loop {
            let (state, status) = self.state()?;
            tell(Seen { state, rung: self.climb.rung(), read_bytes: self.patience.read_bytes });
            match state {
                Keeper::Failed | Keeper::Stopped | Keeper::Asleep | Keeper::Lost => {
                    return Err(self.ended(state, &status));
                }
                Keeper::Waiting | Keeper::Backoff | Keeper::Stopping => self.patience.rest(),
                Keeper::Running => match self.ask(&status)? {
                    Step::There if self.kept_as_healthy(&status) => return Ok(self.ready()),
                    Step::There => {
                        self.not_yet("its keeper has not seen it healthy".to_owned(), &status, meter)?;
                        thread::sleep(GLANCE);
                        continue;
                    }
                    Step::Higher => {
                        self.patience.climbed();
                        continue;
                    }
                    Step::Moved(why) => {
                        self.patience.climbed();
                        self.not_yet(why, &status, meter)?;
                    }
                    Step::Not(why) => {
                        self.stranger_since = None;
                        self.not_yet(why, &status, meter)?;
                    }
                    Step::Foreign(who) => self.foreign(who, &status, meter)?,
                },
            }
            // So the pause is never what most of a short wait consists of.
            thread::sleep((self.patience.ran() / 20).clamp(probe.first_pause, probe.last_pause));
        }
    }

    /// One look, without waiting.
    pub(crate) fn once(mut self) -> Result<(), Failure> {
        let (state, status) = self.state()?;
        if state != Keeper::Running {
            return Err(Failure::new(Code::No, self.not_ready(), format!("it is {}", state.id())));
        }
        loop {
            match self.ask(&status)? {
                Step::There => return self.let_keeper_see(),
                Step::Higher => {}
                Step::Not(why) | Step::Moved(why) | Step::Foreign(why) => {
                    return Err(Failure::new(Code::No, self.not_ready(), why));
                }
            }
        }
    }

    /// An engine that its keeper never saw healthy is not started again. Who calls it ready says that it will be.
    fn kept_as_healthy(&self, status: &Status) -> bool {
        self.climb.rung() < Some(Rung::Healthy) || status.healthy_unix.is_some()
    }

    /// The same for a single look, which waits no longer than a keeper needs.
    fn let_keeper_see(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        while !self.kept_as_healthy(&self.state()?.1) && begun.elapsed() < KEEPER_SEES {
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    fn state(&self) -> Result<(Keeper, Status), Failure> {
        let unreadable = |name: &'static str| move |error| unreadable(&self.directory, name, &error);
        let keeper = self.directory.keeper().map_err(unreadable("lock"))?;
        let state = self.directory.state_while(keeper.is_some()).map_err(unreadable("status.json"))?;
        state.ok_or_else(|| nothing_kept(&self.directory))
    }

    fn ask(&mut self, status: &Status) -> Result<Step, Failure> {
        let anew = self.pid != status.pid;
        if anew {
            self.climb.fall();
            self.pid = status.pid;
        }
        self.patience.run(anew);
        if status.pid.is_none() {
            return Ok(Step::Not("the engine is being started".to_owned()));
        }
        let (host, port, user) = (self.host.clone(), self.port, self.user.clone());
        let keeper = status.keeper_pid;
        self.climb.step(self.patience.left(), &|| tree::answers(&host, port, keeper, &user))
    }

    fn foreign(&mut self, who: String, status: &Status, meter: &Arc<Meter>) -> Result<(), Failure> {
        if self.stranger_since.get_or_insert_with(Instant::now).elapsed() > STRANGER {
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
        self.patience.check(look).map_err(|enough| {
            let cause = match enough {
                Enough::TimeIsUp(cap) => format!("{} s are over; {}", cap.as_secs_f64(), self.why),
                Enough::Stalled(stall) => {
                    format!("no sign of progress for {} s; {}", stall.as_secs_f64(), self.why)
                }
            };
            let failure = Failure::new(Code::Later, self.not_ready(), cause);
            failure.hint(format!("it goes on running; its log is {}", status.log_file.display()))
        })
    }

    fn ended(&self, state: Keeper, status: &Status) -> Failure {
        let cause = match state {
            Keeper::Stopped => "it was told to stop",
            Keeper::Lost => "its keeper is gone",
            Keeper::Asleep => {
                "it is asleep: nobody asked for idle_stop_s; a request through ibridge starts it, or ilaunch"
            }
            _ => status.reason.as_deref().unwrap_or("the engine ended"),
        };
        let whole = format!("the whole log is {}", status.log_file.display());
        let mut failure = Failure::new(Code::No, self.not_ready(), cause);
        failure.exit.clone_from(&status.last_exit);
        failure.log_tail = state::log_tail(&self.user, &status.log_file);
        if state != Keeper::Failed {
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
        let rung = self.climb.rung().unwrap_or(Rung::Alive);
        Ready {
            engine: self.engine,
            instance: self.instance,
            url: self.climb.target.url().to_owned(),
            rung,
            alive_ms: self.climb.ms(Rung::Alive),
            healthy_ms: self.climb.ms(Rung::Healthy),
            listed_ms: self.climb.ms(Rung::Listed),
            answering_ms: self.climb.ms(Rung::Answering),
            correct_ms: self.climb.ms(Rung::Correct),
            model_id: self.climb.model,
        }
    }
}

/// By the last answer; where the driver names nobody, what is used on the instance's GPUs.
fn gpu_bytes(meter: &Arc<Meter>, processes: &[Process], gpus: &(String, Option<String>)) -> u64 {
    if gpus.0 == "none" {
        return 0;
    }
    let pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    meter.lately(GPU_EVERY).map_or(0, |reading| reading.held(&pids, &gpus.0, gpus.1.as_deref()))
}

fn plan_of(directory: &Directory) -> Result<Plan, Failure> {
    let plan = directory.plan().map_err(|error| unreadable(directory, "plan.json", &error))?;
    plan.ok_or_else(|| nothing_kept(directory))
}

fn nothing_kept(directory: &Directory) -> Failure {
    let what = format!("no instance in {}", directory.path().display());
    Failure::new(Code::Input, what, "no keeper has written there")
}

fn unreadable(directory: &Directory, name: &str, error: &std::io::Error) -> Failure {
    let path = directory.path().join(name);
    let failure = Failure::io(Code::Unmet, format!("cannot read {}", Path::display(&path)), error);
    let closed = error.kind() == std::io::ErrorKind::PermissionDenied;
    if closed { failure.hint("run as root or as the instance's user") } else { failure }
}
