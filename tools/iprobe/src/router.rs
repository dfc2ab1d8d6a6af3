//! A router of llama.cpp's: healthy before it has loaded anything, so each of its models is loaded and asked.
use crate::not_ready::NotReady;
use ask::{Error, RouterModel, Target};
use std::collections::BTreeSet;
use std::time::Duration;
use tool::{Code, Failure};

/// A router keeps four models at a time unless it is told otherwise: of more, the first alone is asked.
const MOST: usize = 4;
/// A question to the router itself.
const SHORT: Duration = Duration::from_secs(5);
/// How long its news of a load are listened to at a time.
const LISTEN: Duration = Duration::from_millis(500);

/// Which of its models are to answer, and which have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Router {
    /// Of a folder of models not all are meant to be used.
    pub(crate) first_only: bool,
    answered: BTreeSet<String>,
    told_to_load: BTreeSet<String>,
    /// All that it has reported of its loads.
    news: BTreeSet<String>,
}

impl Router {
    pub(crate) fn of(first_only: bool) -> Self {
        Self { first_only, ..Self::default() }
    }

    /// As far as it goes now: each model is told to load, and asked for a token once it is loaded.
    pub(crate) fn answer(&mut self, target: &Target, limit: Duration) -> Result<(), NotReady> {
        while self.next(target, limit)? {}
        Ok(())
    }

    /// The next model; `false` once all have answered.
    fn next(&mut self, target: &Target, limit: Duration) -> Result<bool, NotReady> {
        let all = target
            .router_models(SHORT.min(limit))
            .map_err(|error| NotReady::pending(format!("/models: {error}")))?;
        let most = if self.first_only || all.len() > MOST { 1 } else { MOST };
        let Some(next) = all.iter().take(most).find(|model| !self.answered.contains(&model.id)) else {
            return Ok(false);
        };
        match next.state.as_deref() {
            Some("loaded") | None => self.ask(target, &next.id, limit).map(|()| true),
            _ if next.failed => Err(failed(target, next)),
            Some("unloaded") if self.told_to_load.insert(next.id.clone()) => {
                // A router that refuses to load a model loads it with its first completion.
                match target.load(&next.id, SHORT.min(limit)) {
                    Ok(()) => Err(NotReady::Moved(format!("{} is told to load", next.id))),
                    Err(_) => self.ask(target, &next.id, limit).map(|()| true),
                }
            }
            _ => Err(self.loading(target, next)),
        }
    }

    fn ask(&mut self, target: &Target, id: &str, limit: Duration) -> Result<(), NotReady> {
        match target.generate_token(id, limit) {
            Ok(()) => {
                self.answered.insert(id.to_owned());
                Ok(())
            }
            Err(error @ Error::Status { .. }) => {
                let all = target.router_models(SHORT.min(limit)).unwrap_or_default();
                match all.iter().find(|model| model.id == id && model.failed) {
                    Some(model) => Err(failed(target, model)),
                    None => Err(NotReady::of(target, &format!("one token of {id}"), &error)),
                }
            }
            Err(error) => Err(NotReady::of(target, &format!("one token of {id}"), &error)),
        }
    }

    /// Its report of the load, in its list or by its events, is progress where it is new.
    fn loading(&mut self, target: &Target, model: &RouterModel) -> NotReady {
        let events = target.load_events(LISTEN);
        let why = format!("{} is {}", model.id, model.state.as_deref().unwrap_or_default());
        let mut new = false;
        for news in model.progress.iter().chain(&events) {
            new |= self.news.insert(news.clone());
        }
        if new { NotReady::Moved(why) } else { NotReady::pending(why) }
    }
}

fn failed(target: &Target, model: &RouterModel) -> NotReady {
    let failure =
        Failure::new(Code::No, format!("{} cannot load {}", target.url(), model.id), "its server ended");
    NotReady::Final(failure.hint("its log says why; correct its section of the preset, or take it out"))
}
