//! Asking an engine how it is: often until it first is healthy, then now and then, to find out that it hangs.
use crate::activity::{self, ActivitySample};
use crate::event::Event;
use ask::{Error, Target};
use owner::Owner;
use record::{Liveness, Plan};
use rustix::process::Pid;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// The longest pause between two questions for the first good `/health`: until then an end of the engine is final, so that
/// nobody may have seen it ready for long before its keeper has.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No question is given less: an answer may take a second from a server that generates a token for it.
const SHORTEST_LIMIT: Duration = Duration::from_secs(2);
/// A process that has used this share of one processor since the last look is at work.
const WORKS: f64 = 0.05;

/// One start of an engine, as its health is asked.
pub(crate) struct Health {
    pub(crate) pid: Pid,
    pub(crate) plan: Plan,
    pub(crate) key: Option<String>,
    pub(crate) events: Sender<Event>,
    /// Ends when nobody wants to know any more.
    pub(crate) wanted: Receiver<()>,
    /// How many tokens we have asked for ourselves, counted before and after each.
    pub(crate) tokens: Arc<AtomicU64>,
}

/// What one look has found.
enum CheckResult {
    Good,
    /// Why it counts against the engine.
    Bad(String),
    /// It hangs for certain.
    Hung(String),
    /// Why this engine cannot be asked for an answer.
    CannotAsk(String),
}

impl Health {
    /// Until it hangs, or nobody wants to know.
    pub(crate) fn watch(self) {
        if !self.wait_until_healthy() || self.events.send(Event::Healthy(self.pid)).is_err() {
            return;
        }
        let control = &self.plan.control;
        let period = Duration::from_secs(control.liveness_period_s);
        let mut watch = LivenessCheck {
            health: &self,
            liveness: control.liveness,
            busy: None,
            worked: self.work_so_far(),
        };
        let mut failures = 0;
        while watch.liveness != Liveness::Off && self.pause(period) {
            let why = match watch.run_check() {
                CheckResult::Good => {
                    failures = 0;
                    continue;
                }
                CheckResult::Bad(why) => {
                    failures += 1;
                    (failures >= control.liveness_failures)
                        .then(|| format!("{failures} times in a row: {why}"))
                }
                CheckResult::Hung(why) => Some(why),
                CheckResult::CannotAsk(why) => {
                    watch.liveness = Liveness::Health;
                    let note = format!("liveness: only /health is asked from now on: {why}");
                    self.events.send(Event::Note(note)).ok();
                    None
                }
            };
            if let Some(why) = why {
                // A keeper that has ended asks nothing more.
                self.events.send(Event::Hung(self.pid, why)).ok();
                return;
            }
        }
    }

    /// A twentieth of the wait so far lies between two questions. `false` when nobody wants to know any more.
    fn wait_until_healthy(&self) -> bool {
        let probe = &engine::of(self.plan.engine).probe;
        let (server, begun) = (self.server(), Instant::now());
        let ours = || tree::answers(&self.plan.host, self.plan.port, std::process::id(), &Owner::current());
        // Somebody else may have the port that the engine still has to take.
        while server.health(probe.timeout).is_err() || ours().is_err() {
            let longest = FIRST_PAUSE.max(probe.last_pause);
            if !self.pause((begun.elapsed() / 20).clamp(probe.first_pause, longest)) {
                return false;
            }
        }
        true
    }

    /// No connection is kept between two looks: it would hold one of the server's threads.
    fn server(&self) -> Target {
        Target::of_plan(&self.plan, &Owner::current()).with_key(self.key.clone())
    }

    /// The processor time that it has used by now. Where it is one process of several, the others may be busy waiting for a
    /// GPU for ever, and only the one that answers counts.
    fn work_so_far(&self) -> (Instant, Duration) {
        let leader = u32::try_from(self.pid.as_raw_nonzero().get()).unwrap_or_default();
        let with_family = engine::of(self.plan.engine).one_process || self.plan.control.via_pixi;
        (Instant::now(), tree::processor_time(leader, with_family))
    }

    fn pause(&self, pause: Duration) -> bool {
        self.wanted.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    }
}

/// What is remembered from one look to the next.
struct LivenessCheck<'a> {
    health: &'a Health,
    liveness: Liveness,
    /// What the engine last said of itself while it was at work.
    busy: Option<ActivitySample>,
    /// When its processor time was last looked at, and how much that was.
    worked: (Instant, Duration),
}

impl LivenessCheck<'_> {
    fn run_check(&mut self) -> CheckResult {
        let server = self.health.server();
        let look = match server.health(self.limit()) {
            // It may have no time for an answer. Who stands still has.
            Err(_) if self.works() => CheckResult::Good,
            Err(error) => CheckResult::Bad(format!("/health: {error}")),
            Ok(()) if self.liveness == Liveness::Answer => self.answer(&server),
            Ok(()) => CheckResult::Good,
        };
        self.worked = self.health.work_so_far();
        look
    }

    /// A token is asked for only while no request is under way. While one is, its counters have to move.
    fn answer(&mut self, server: &Target) -> CheckResult {
        let before = match activity::ask(&self.health.plan, server, self.limit()) {
            Ok(seen) => seen,
            Err(Some(why)) => return CheckResult::CannotAsk(why),
            Err(None) if self.works() => return CheckResult::Good,
            Err(None) => return CheckResult::Bad("it does not tell whether it is busy".to_owned()),
        };
        if before.busy {
            let stands = self.busy.replace(before) == Some(before);
            let one_process = engine::of(self.health.plan.engine).one_process;
            return if stands && !(one_process && self.works()) {
                CheckResult::Bad("requests are under way, and none of its counters moves".to_owned())
            } else {
                CheckResult::Good
            };
        }
        self.busy = None;
        let timeout = self.period() * self.health.plan.control.liveness_failures;
        let timeout = timeout.max(engine::of(self.health.plan.engine).probe.timeout);
        self.health.tokens.fetch_add(1, Ordering::Relaxed);
        let token = self.token(server, timeout);
        self.health.tokens.fetch_add(1, Ordering::Relaxed);
        match token {
            Ok(()) => CheckResult::Good,
            Err(Error::TimedOut) => match activity::ask(&self.health.plan, server, self.limit()) {
                // Somebody else's request came first.
                Ok(after) if after.counters != before.counters && after.busy => CheckResult::Good,
                _ => CheckResult::Hung(format!(
                    "it was idle, and one token took more than {} s",
                    timeout.as_secs()
                )),
            },
            Err(Error::Status { code: code @ 400..500, message }) if code != 408 && code != 429 => {
                CheckResult::CannotAsk(format!("one token: HTTP {code}: {message}"))
            }
            Err(error) => CheckResult::Bad(format!("one token: {error}")),
        }
    }

    fn token(&self, server: &Target, timeout: Duration) -> Result<(), Error> {
        let model = match &self.health.plan.served_name {
            Some(name) => name.clone(),
            None => server.models(self.limit())?.into_iter().next().unwrap_or_default(),
        };
        server.generate_token(&model, timeout)
    }

    /// Whether it has used the processor since the last look.
    fn works(&self) -> bool {
        let ((then, before), (now, used)) = (self.worked, self.health.work_so_far());
        used.saturating_sub(before).as_secs_f64() > WORKS * now.duration_since(then).as_secs_f64()
    }

    fn period(&self) -> Duration {
        Duration::from_secs(self.health.plan.control.liveness_period_s)
    }

    fn limit(&self) -> Duration {
        engine::of(self.health.plan.engine).probe.timeout.min(self.period().max(SHORTEST_LIMIT))
    }
}
