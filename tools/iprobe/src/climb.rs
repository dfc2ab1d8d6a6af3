//! The ladder: alive, healthy, listed, answering. One question at a time, from the rung that is reached to the next.
use ask::{Error, Target};
use engine::Probe;
use record::Rung;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// Which id the server has to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This one.
    Name(String),
    /// The only one; among several, this path or name of the model.
    Only(Option<String>),
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
    /// Somebody else has our port; who.
    Foreign(String),
}

/// Why a rung was not reached.
enum Why {
    /// It may be, later.
    NotYet(String),
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
    pub(crate) model: Option<String>,
}

impl Climb {
    pub(crate) fn new(target: Target, probe: &'static Probe, expected: Expected, goal: Rung) -> Self {
        Self { target, probe, expected, goal, began: Instant::now(), reached: Vec::new(), model: None }
    }

    /// Start again from the ground: the engine was started anew.
    pub(crate) fn fall(&mut self) {
        self.reached.clear();
        self.model = None;
    }

    /// The highest rung so far.
    pub(crate) fn rung(&self) -> Option<Rung> {
        self.reached.len().checked_sub(1).and_then(|last| RUNGS.get(last)).copied()
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
            Rung::Healthy => self.target.health(short).map_err(|e| Why::NotYet(format!("/health: {e}"))),
            Rung::Listed => self.list(short, port_is_ours),
            Rung::Answering => self.answer(limit),
        };
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
            Err(Why::Foreign(who)) => {
                log::info!("{url} is somebody else's: {who}");
                return Ok(Step::Foreign(who));
            }
            Err(Why::Never(failure)) => return Err(failure),
        }
        Ok(if *next == self.goal { Step::There } else { Step::Higher })
    }

    fn list(&mut self, limit: Duration, port_is_ours: &dyn Fn() -> Result<(), String>) -> Result<(), Why> {
        let ids = self.target.models(limit).map_err(|error| self.why("/v1/models", &error))?;
        let id = self.expected.among(ids).map_err(Why::NotYet)?;
        port_is_ours().map_err(Why::Foreign)?;
        self.model = Some(id);
        Ok(())
    }

    /// The first answer may compile kernels, so it gets all the time there is.
    fn answer(&self, limit: Duration) -> Result<(), Why> {
        let model = self.model.as_deref().unwrap_or_default();
        self.target.token(model, limit).map_err(|error| self.why("one token", &error))
    }

    fn why(&self, asked: &str, error: &Error) -> Why {
        let refusal = |code| {
            let what = format!("{} refuses {asked}", self.target.url());
            Failure::new(code, what, error.to_string())
        };
        match error.code() {
            Some(401 | 403) => Why::Never(refusal(Code::Unmet).hint("give the server's key with --key-file")),
            Some(400 | 404 | 405 | 501) => {
                let hint = "for a server that does not chat, set ready_rung = \"listed\" in its control table, \
                            or give --rung listed";
                Why::Never(refusal(Code::No).hint(hint))
            }
            _ => Why::NotYet(format!("{asked}: {error}")),
        }
    }
}

const RUNGS: [Rung; 4] = [Rung::Alive, Rung::Healthy, Rung::Listed, Rung::Answering];

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
            Self::Any if ids.is_empty() => Err("/v1/models lists nothing".to_owned()),
            Self::Any => Ok(ids.remove(0)),
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
