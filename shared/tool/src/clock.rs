//! The time, as records have it.
use crate::vars;
use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds, in steps of a millisecond.
#[must_use]
pub fn now_unix() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1e3).round() / 1e3
}

/// When a record is written that has to say so, because its stream is to be kept.
pub(crate) fn record_time() -> Option<f64> {
    let kept = std::env::var_os(vars::INFER_DEV_KEEP).is_some_and(|folder| !folder.is_empty());
    kept.then(now_unix)
}
