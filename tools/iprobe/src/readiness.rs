//! The ladder: alive, healthy, listed, answering, correct. One question at a time, from the rung that is reached to the next.
use crate::expected_model::ExpectedModel;
use crate::not_ready::NotReady;
use crate::router::Router;
use ask::{KnownAnswers, Target};
use engine::Probe;
use record::Rung;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// What came of one question.
#[derive(Debug)]
pub(crate) enum Step {
    /// The rung that was asked for.
    Ready,
    /// One rung higher.
    Advanced,
    /// Not yet; why.
    Pending(String),
    /// Not yet, but further than before; why.
    Moved(String),
    /// Somebody else has our port; who.
    PortConflict(String),
}

/// One server's way up.
#[derive(Debug)]
pub(crate) struct ReadinessProbe {
    pub(crate) target: Target,
    probe: &'static Probe,
    expected: ExpectedModel,
    goal: Rung,
    /// The moment that times count from.
    began: Instant,
    /// When each rung was reached, in the order of [`Rung`].
    reached: Vec<Duration>,
    /// For rung correct.
    known: Option<KnownAnswers>,
    pub(crate) model: Option<String>,
    /// When it was last looked who listens, and who that was where it was not the engine.
    looked: Option<Instant>,
    foreign: Option<String>,
}

impl ReadinessProbe {
    pub(crate) fn new(target: Target, probe: &'static Probe, expected: ExpectedModel, goal: Rung) -> Self {
        let (began, reached) = (Instant::now(), Vec::new());
        let (known, model, looked, foreign) = (None, None, None, None);
        Self { target, probe, expected, goal, began, reached, known, model, looked, foreign }
    }

    /// The same, with the answers that rung correct wants.
    pub(crate) fn with_answers(self, known: Option<KnownAnswers>) -> Self {
        Self { known, ..self }
    }

    /// Start again from the ground: the engine was started anew.
    pub(crate) fn reset(&mut self) {
        self.reached.clear();
        (self.model, self.looked, self.foreign) = (None, None, None);
        if let ExpectedModel::Routed(router) = &mut self.expected {
            *router = Router::of(router.first_only);
        }
    }

    /// The highest rung so far.
    pub(crate) fn rung(&self) -> Option<Rung> {
        self.reached.len().checked_sub(1).and_then(|last| Rung::ALL.get(last)).copied()
    }

    /// The rung to reach.
    pub(crate) fn goal(&self) -> Rung {
        self.goal
    }

    /// When a rung was reached, in milliseconds.
    pub(crate) fn ms(&self, rung: Rung) -> Option<f64> {
        let at = Rung::ALL.iter().position(|other| *other == rung)?;
        self.reached.get(at).map(|time| (time.as_secs_f64() * 1e6).round() / 1e3)
    }

    /// Ask for the next rung; no question takes longer than `limit`, nor than the engine may need. `port_is_ours` says
    /// why the port is not, where it is not.
    ///
    /// Fails when asking again cannot help.
    pub(crate) fn step(
        &mut self,
        limit: Duration,
        port_is_ours: &dyn Fn() -> Result<(), String>,
    ) -> Result<Step, Failure> {
        let Some(next) = Rung::ALL.get(self.reached.len()).filter(|next| **next <= self.goal) else {
            return Ok(Step::Ready);
        };
        let short = limit.min(self.probe.timeout);
        let answer = match next {
            Rung::Alive => Ok(()),
            Rung::Healthy => self.health(short),
            Rung::Listed => self.list(short),
            Rung::Answering => self.answer(limit),
            Rung::Correct => self.compare_answers(limit),
        };
        let last = *next == self.goal;
        let answer = if *next > Rung::Alive {
            self.answered_by_our_process(answer, last, port_is_ours)
        } else {
            answer
        };
        let (url, rung) = (self.target.url(), next.id());
        match answer {
            Ok(()) => {
                self.reached.push(self.began.elapsed());
                log::info!("{url} is {rung}");
            }
            Err(NotReady::Pending(why)) => {
                log::debug!("{url} is not {rung}: {why}");
                return Ok(Step::Pending(why));
            }
            Err(NotReady::Moved(why)) => return Ok(Step::Moved(why)),
            Err(NotReady::PortConflict(who)) => {
                log::info!("{url} is somebody else's: {who}");
                return Ok(Step::PortConflict(who));
            }
            Err(NotReady::Final(failure)) => return Err(failure),
        }
        Ok(if *next == self.goal { Step::Ready } else { Step::Advanced })
    }

    /// What somebody else answers says nothing of the engine, be it good or bad. That is looked at now and then only: while
    /// nothing changes, and on the way up where the last look found the engine. What makes it ready is always looked at.
    fn answered_by_our_process(
        &mut self,
        answer: Result<(), NotReady>,
        last: bool,
        port_is_ours: &dyn Fn() -> Result<(), String>,
    ) -> Result<(), NotReady> {
        let lately = self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY);
        let on_the_way = answer.is_ok() && !last && self.foreign.is_none();
        if lately && (on_the_way || matches!(answer, Err(NotReady::Pending(_)))) {
            return self.foreign.clone().map_or(answer, |who| Err(NotReady::PortConflict(who)));
        }
        self.looked = Some(Instant::now());
        self.foreign = port_is_ours().err();
        self.foreign.clone().map_or(answer, |who| Err(NotReady::PortConflict(who)))
    }

    fn health(&self, limit: Duration) -> Result<(), NotReady> {
        let known = !matches!(self.expected, ExpectedModel::Any);
        self.target.health(limit).map_err(|error| match error.code() {
            // Who has no such path will have none later. Of a server that we know nothing of, one may come before it.
            Some(404 | 405 | 501) if known => {
                let what = format!("{} has no /health", self.target.url());
                let hint = "where it serves below a prefix, its server table has to say so";
                NotReady::Final(Failure::new(Code::No, what, error.to_string()).hint(hint))
            }
            _ => NotReady::of(&self.target, "/health", &error),
        })
    }

    fn list(&mut self, limit: Duration) -> Result<(), NotReady> {
        let ids =
            self.target.models(limit).map_err(|error| NotReady::of(&self.target, "/v1/models", &error))?;
        self.model = Some(self.expected.among(ids).map_err(NotReady::Pending)?);
        Ok(())
    }

    /// The first answer may compile kernels, so it gets all the time there is.
    fn answer(&mut self, limit: Duration) -> Result<(), NotReady> {
        if let ExpectedModel::Routed(router) = &mut self.expected {
            return router.answer(&self.target, limit);
        }
        let model = self.model.as_deref().unwrap_or_default();
        self.target
            .generate_token(model, limit)
            .map_err(|error| NotReady::of(&self.target, "one token", &error))
    }

    /// Whether it answers as it did where it was whole.
    fn compare_answers(&self, limit: Duration) -> Result<(), NotReady> {
        let Some(known) = &self.known else { return Ok(()) };
        let model = self.model.as_deref().unwrap_or_default();
        let differs = known
            .compare(&self.target, model, limit)
            .map_err(|error| NotReady::of(&self.target, "a known answer", &error))?;
        let Some(differs) = differs else { return Ok(()) };
        let what = format!("{} does not answer as it is known to", self.target.url());
        let hint = "the weights, the chat template or the kernels are not those that were recorded: compare the model with \
                    imodel --verify, and read CAVEATS in ichat(1) where the hardware is another";
        let mut failure = Failure::new(Code::No, what, differs).hint(hint);
        failure.class = Some("wrong_answer".to_owned());
        Err(NotReady::Final(failure))
    }
}

/// How often is looked who listens, while nothing changes.
const LOOK_EVERY: Duration = Duration::from_millis(200);
