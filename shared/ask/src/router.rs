//! What llama.cpp's router says of its models: a server that starts others, each when it is asked for, and is healthy before any.
use crate::events::{Events, Limits};
use crate::target::{Timeouts, malformed, read_success};
use crate::{Error, Target};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::BufReader;
use std::time::{Duration, Instant};

/// The most bytes of its events that are read at a time.
const EVENTS_BYTES: u64 = 1 << 20;

/// One model of a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterModel {
    /// The id that it is asked for by.
    pub id: String,
    /// `unloaded`, `loading`, `loaded`, …; absent where the router does not say.
    pub state: Option<String>,
    /// It was loaded, and that failed.
    pub failed: bool,
    /// How far the load is, as the router writes it; absent where it does not say.
    pub progress: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Value>,
}

impl RouterModel {
    fn read(model: &Value) -> Option<Self> {
        let text = |place: &str| model.pointer(place).and_then(Value::as_str).map(str::to_owned);
        let state = text("/status/value");
        let failed = model.pointer("/status/failed").and_then(Value::as_bool).unwrap_or(false);
        let failed = failed || state.as_deref() == Some("failed");
        let progress = model.pointer("/status/progress").map(Value::to_string);
        Some(Self { id: text("/id")?, failed, state, progress })
    }
}

impl Target {
    /// The models of a router, as `/models` lists them.
    ///
    /// # Errors
    /// Anything but 200 with a list of models.
    pub fn router_models(&self, limit: Duration) -> Result<Vec<RouterModel>, Error> {
        let text = self.text("/models", limit)?;
        let listed: Listed = serde_json::from_str(&text).map_err(malformed)?;
        Ok(listed.data.iter().filter_map(RouterModel::read).collect())
    }

    /// Have a router load one of its models; it answers before that is done.
    ///
    /// # Errors
    /// Anything but 200.
    pub fn load(&self, id: &str, limit: Duration) -> Result<(), Error> {
        let timeouts = Timeouts { silence: limit, total: limit };
        read_success(self.post("/models/load", &json!({"model": id}), timeouts)?).map(drop)
    }

    /// The events of a router's loads within `time`; nothing where it sends none.
    #[must_use]
    pub fn load_events(&self, time: Duration) -> Vec<String> {
        let Ok(response) = self.open("/models/sse", time) else { return Vec::new() };
        let limits = Limits { bytes: EVENTS_BYTES, until: Instant::now() + time };
        let mut events = Events::new(BufReader::new(response.into_body().into_reader()), limits);
        std::iter::from_fn(|| events.next().ok().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_state_is_read_where_the_router_tells_it() {
        let read = |text: &str| RouterModel::read(&serde_json::from_str(text).unwrap()).unwrap();
        let loading = read(r#"{"id":"a","status":{"value":"loading","args":[]}}"#);
        assert_eq!((loading.state.as_deref(), loading.failed), (Some("loading"), false));
        let half = read(r#"{"id":"a","status":{"value":"loading","progress":{"value":0.5}}}"#);
        assert_eq!(half.progress.as_deref(), Some(r#"{"value":0.5}"#));
        assert!(read(r#"{"id":"a","status":{"value":"unloaded","failed":true,"exit_code":1}}"#).failed);
        assert_eq!(read(r#"{"id":"a","object":"model"}"#).state, None);
    }
}
