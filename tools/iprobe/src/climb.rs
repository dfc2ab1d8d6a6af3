//! The ladder: alive, healthy, listed, answering. One question at a time, from the rung that is reached to the next.
use crate::router::Router;
use ask::{Error, Known, Target};
use engine::Probe;
use record::Rung;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// Which id the server has to list.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// This one.
    Name(String),
    /// The only one; among several, this path or name of the model.
    Only(Option<String>),
    /// Whatever a router has.
    Routed(Router),
    /// Any: nothing is known of the server.
    Any,
}

/// What came of one question.
#[derive(Debug)]
pub(crate) enum Step {
    /// The rung that was asked for.
    There,
    /// One rung higher.
    Higher,
    /// Not yet; why.
    Not(String),
    /// Not yet, but further than before; why.
    Moved(String),
    /// Somebody else has our port; who.
    Foreign(String),
}

/// Why a rung was not reached.
pub(crate) enum Why {
    /// It may be, later.
    NotYet(String),
    /// The same, and something has moved.
    Moved(String),
    /// Somebody else has our port.
    Foreign(String),
    /// A server that is healthy and says no will say no again.
    Never(Failure),
}

/// One server's way up.
#[derive(Debug)]
pub(crate) struct Climb {
    pub(crate) target: Target,
    probe: &'static Probe,
    expected: Expected,
    goal: Rung,
    /// The moment that times count from.
    began: Instant,
    /// When each rung was reached, in the order of [`Rung`].
    reached: Vec<Duration>,
    /// For rung correct.
    known: Option<Known>,
    pub(crate) model: Option<String>,
    /// When it was last looked who listens, and who that was where it was not the engine.
    looked: Option<Instant>,
    foreign: Option<String>,
}

impl Climb {
    pub(crate) fn new(target: Target, probe: &'static Probe, expected: Expected, goal: Rung) -> Self {
        let (began, reached) = (Instant::now(), Vec::new());
        let (known, model, looked, foreign) = (None, None, None, None);
        Self { target, probe, expected, goal, began, reached, known, model, looked, foreign }
    }

    /// The same, with the answers that rung correct wants.
    pub(crate) fn with_answers(self, known: Option<Known>) -> Self {
        Self { known, ..self }
    }

    /// Start again from the ground: the engine was started anew.
    pub(crate) fn fall(&mut self) {
        self.reached.clear();
        (self.model, self.looked, self.foreign) = (None, None, None);
        if let Expected::Routed(router) = &mut self.expected {
            *router = Router::of(router.first_only);
        }
    }

    /// The highest rung so far.
    pub(crate) fn rung(&self) -> Option<Rung> {
        self.reached.len().checked_sub(1).and_then(|last| RUNGS.get(last)).copied()
    }

    /// The rung to reach.
    pub(crate) fn goal(&self) -> Rung {
        self.goal
    }

    /// When a rung was reached, in milliseconds.
    pub(crate) fn ms(&self, rung: Rung) -> Option<f64> {
        let at = RUNGS.iter().position(|other| *other == rung)?;
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
        let Some(next) = RUNGS.get(self.reached.len()).filter(|next| **next <= self.goal) else {
            return Ok(Step::There);
        };
        let short = limit.min(self.probe.timeout);
        let answer = match next {
            Rung::Alive => Ok(()),
            Rung::Healthy => self.health(short),
            Rung::Listed => self.list(short),
            Rung::Answering => self.answer(limit),
            Rung::Correct => self.agree(limit),
        };
        let last = *next == self.goal;
        let answer = if *next > Rung::Alive { self.by_ours(answer, last, port_is_ours) } else { answer };
        let (url, rung) = (self.target.url(), next.id());
        match answer {
            Ok(()) => {
                self.reached.push(self.began.elapsed());
                log::info!("{url} is {rung}");
            }
            Err(Why::NotYet(why)) => {
                log::debug!("{url} is not {rung}: {why}");
                return Ok(Step::Not(why));
            }
            Err(Why::Moved(why)) => return Ok(Step::Moved(why)),
            Err(Why::Foreign(who)) => {
                log::info!("{url} is somebody else's: {who}");
                return Ok(Step::Foreign(who));
            }
            Err(Why::Never(failure)) => return Err(failure),
        }
        Ok(if *next == self.goal { Step::There } else { Step::Higher })
    }

    /// What somebody else answers says nothing of the engine, be it good or bad. That is looked at now and then only: while
    /// nothing changes, and on the way up where the last look found the engine. What makes it ready is always looked at.
    fn by_ours(
        &mut self,
        answer: Result<(), Why>,
        last: bool,
        port_is_ours: &dyn Fn() -> Result<(), String>,
    ) -> Result<(), Why> {
        let lately = self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY);
        let on_the_way = answer.is_ok() && !last && self.foreign.is_none();
        if lately && (on_the_way || matches!(answer, Err(Why::NotYet(_)))) {
            return self.foreign.clone().map_or(answer, |who| Err(Why::Foreign(who)));
        }
        self.looked = Some(Instant::now());
        self.foreign = port_is_ours().err();
        self.foreign.clone().map_or(answer, |who| Err(Why::Foreign(who)))
    }

    fn health(&self, limit: Duration) -> Result<(), Why> {
        let known = !matches!(self.expected, Expected::Any);
        self.target.health(limit).map_err(|error| match error.code() {
            // Who has no such path will have none later. Of a server that we know nothing of, one may come before it.
            Some(404 | 405 | 501) if known => {
                let what = format!("{} has no /health", self.target.url());
                let hint = "where it serves below a prefix, its server table has to say so";
                Why::Never(Failure::new(Code::No, what, error.to_string()).hint(hint))
            }
            _ => Why::of(&self.target, "/health", &error),
        })
    }

    fn list(&mut self, limit: Duration) -> Result<(), Why> {
        let ids = self.target.models(limit).map_err(|error| Why::of(&self.target, "/v1/models", &error))?;
        self.model = Some(self.expected.among(ids).map_err(Why::NotYet)?);
        Ok(())
    }

    /// The first answer may compile kernels, so it gets all the time there is.
    fn answer(&mut self, limit: Duration) -> Result<(), Why> {
        if let Expected::Routed(router) = &mut self.expected {
            return router.answer(&self.target, limit);
        }
        let model = self.model.as_deref().unwrap_or_default();
        self.target.token(model, limit).map_err(|error| Why::of(&self.target, "one token", &error))
    }

    /// Whether it answers as it did where it was whole.
    fn agree(&self, limit: Duration) -> Result<(), Why> {
        let Some(known) = &self.known else { return Ok(()) };
        let model = self.model.as_deref().unwrap_or_default();
        let differs = known
            .compare(&self.target, model, limit)
            .map_err(|error| Why::of(&self.target, "a known answer", &error))?;
        let Some(differs) = differs else { return Ok(()) };
        let what = format!("{} does not answer as it is known to", self.target.url());
        let hint = "the weights, the chat template or the kernels are not those that were recorded: compare the model with \
                    imodel --verify, and read CAVEATS in ichat(1) where the hardware is another";
        let mut failure = Failure::new(Code::No, what, differs).hint(hint);
        failure.class = Some("wrong_answer".to_owned());
        Err(Why::Never(failure))
    }
}

impl Why {
    pub(crate) fn not_yet(why: String) -> Self {
        Self::NotYet(why)
    }

    pub(crate) fn of(target: &Target, asked: &str, error: &Error) -> Self {
        let refusal = |code| {
            let what = format!("{} refuses {asked}", target.url());
            Failure::new(code, what, error.to_string())
        };
        if let Error::Untrusted(cause) = error {
            let failure = Failure::new(Code::Unmet, format!("cannot speak TLS to {}", target.url()), cause);
            return Self::Never(
                failure.hint("restart it where its certificate has changed since: ilaunch --replace"),
            );
        }
        match error.code() {
            Some(401 | 403) => {
                Self::Never(refusal(Code::Unmet).hint("give the server's key with --key-file"))
            }
            Some(code @ (400 | 404 | 405 | 501)) => {
                let mend = if code == 400 { "mend what it names, often the chat template; " } else { "" };
                let hint = "for a server that does not chat, set ready_rung = \"listed\" in its control table, \
                            or give --rung listed";
                Self::Never(refusal(Code::No).hint(format!("{mend}{hint}")))
            }
            _ => Self::NotYet(format!("{asked}: {error}")),
        }
    }
}

/// How often is looked who listens, while nothing changes.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(crate) const RUNGS: [Rung; 5] =
    [Rung::Alive, Rung::Healthy, Rung::Listed, Rung::Answering, Rung::Correct];

impl Expected {
    /// The expected id among those listed, or why it is not there.
    fn among(&self, mut ids: Vec<String>) -> Result<String, String> {
        let list = if ids.is_empty() { "nothing".to_owned() } else { ids.join(", ") };
        let here = |name: &String| ids.contains(name);
        match self {
            Self::Name(name) if here(name) => Ok(name.clone()),
            Self::Name(name) => Err(format!("/v1/models lists {list}, not {name}")),
            Self::Only(Some(model)) if here(model) => Ok(model.clone()),
            Self::Only(_) if ids.len() == 1 => Ok(ids.remove(0)),
            Self::Only(_) => Err(format!("/v1/models lists {list}, and no served name says which")),
            Self::Any | Self::Routed(_) if ids.is_empty() => Err("/v1/models lists nothing".to_owned()),
            Self::Any | Self::Routed(_) => Ok(ids.remove(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(expected: &Expected, ids: &[&str]) -> Result<String, String> {
        expected.among(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn with_a_served_name_only_that_name_counts() {
        let expected = Expected::Name("glm4".to_owned());
        assert_eq!(among(&expected, &["other", "glm4"]).unwrap(), "glm4");
        assert_eq!(among(&expected, &["other"]).unwrap_err(), "/v1/models lists other, not glm4");
        assert_eq!(among(&expected, &[]).unwrap_err(), "/v1/models lists nothing, not glm4");
    }

    #[test]
    fn without_one_the_only_id_is_taken_and_the_models_path_among_several() {
        let expected = Expected::Only(Some("/m".to_owned()));
        assert_eq!(among(&expected, &["tiny.gguf"]).unwrap(), "tiny.gguf");
        assert_eq!(among(&expected, &["lora", "/m"]).unwrap(), "/m");
        assert!(among(&expected, &["a", "b"]).unwrap_err().ends_with("no served name says which"));
        assert!(among(&Expected::Only(None), &[]).is_err());
    }

    #[test]
    fn of_an_unknown_server_the_first_is_taken() {
        assert_eq!(among(&Expected::Any, &["a", "b"]).unwrap(), "a");
        assert!(among(&Expected::Any, &[]).is_err());
    }
}
