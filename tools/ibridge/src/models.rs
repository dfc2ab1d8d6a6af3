//! The models that are served, in a form that clients of both APIs read.
use crate::discovery::Snapshot;
use crate::refusal::Refusal;
use crate::upstream::{Phase, Upstream};
use serde_json::{Value, json};

/// All served names: `GET /v1/models`.
pub(crate) fn list(seen: &Snapshot) -> Value {
    let models = all(seen);
    let id = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
    let (first, last) = (id(models.first()), id(models.last()));
    json!({"object": "list", "data": models, "has_more": false, "first_id": first, "last_id": last})
}

/// One of them: `GET /v1/models/ID`.
pub(crate) fn one(seen: &Snapshot, id: &str) -> Result<Value, Refusal> {
    let found = all(seen).into_iter().find(|model| model["id"] == id);
    found.ok_or_else(|| Refusal::new(404, format!("the model '{id}' is not served here")))
}

fn all(seen: &Snapshot) -> Vec<Value> {
    let mut models: Vec<Value> = Vec::new();
    // What is ready comes first, and with it the default.
    let is_ready = |upstream: &&std::sync::Arc<Upstream>| upstream.phase == Phase::Ready;
    let (ready, others): (Vec<_>, Vec<_>) = seen.upstreams.iter().partition(is_ready);
    for upstream in ready.into_iter().chain(others) {
        for name in &upstream.names {
            if !models.iter().any(|model| model["id"] == *name) {
                let engine = upstream.engine.map_or("upstream", record::Engine::id);
                models.push(json!({
                    "id": name, "object": "model", "created": 0, "owned_by": engine,
                    "type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"
                }));
            }
        }
    }
    models
}
