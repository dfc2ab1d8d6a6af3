//! Whether an engine is at work, from what it says of itself.
use ask::{Error, Target};
use engine::Activity;
use record::Plan;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// What it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Requests are under way, or wait.
    pub(crate) busy: bool,
    /// Stands for all its counters: it changes when any of them moves.
    pub(crate) counters: u64,
}

/// What an engine says of itself. Fails with the reason where it never will, and without where it does not now.
pub(crate) fn ask(plan: &Plan, server: &Target, limit: Duration) -> Result<Seen, Option<String>> {
    let activity = engine::of(plan.engine).activity;
    let Some(path) = path(activity) else {
        return Err(Some("it does not tell whether it is busy".to_owned()));
    };
    match server.text(path, limit) {
        Ok(text) => {
            read(activity, &text).ok_or_else(|| Some(format!("{path} does not tell whether it is busy")))
        }
        Err(Error::Status { code: code @ (400..=499 | 501), .. }) => {
            Err(Some(format!("{path}: HTTP {code}")))
        }
        Err(_) => Err(None),
    }
}

/// The path to ask; `None` for an engine that does not tell.
fn path(activity: Activity) -> Option<&'static str> {
    match activity {
        Activity::Slots(path) | Activity::Metrics { path, .. } => Some(path),
        Activity::Unknown => None,
    }
}

/// Read its answer; `None` where that does not tell.
fn read(activity: Activity, text: &str) -> Option<Seen> {
    match activity {
        Activity::Slots(_) => {
            let slots: Vec<Value> = serde_json::from_str(text).ok()?;
            let works = |slot: &Value| slot.get("is_processing")?.as_bool();
            let working: Option<Vec<bool>> = slots.iter().map(works).collect();
            Some(Seen { busy: working?.contains(&true), counters: hash(std::iter::once(text)) })
        }
        Activity::Metrics { prefix, requests, .. } => {
            let own = || text.lines().filter(|line| line.starts_with(prefix));
            let mut counts = own().filter_map(|line| {
                let name = line.split(['{', ' ']).next()?;
                requests.contains(&name).then(|| line.rsplit(' ').next()?.parse::<f64>().ok())
            });
            let first = counts.next()??;
            let busy = first > 0.0 || counts.any(|count| count.is_none_or(|count| count > 0.0));
            Some(Seen { busy, counters: hash(own()) })
        }
        Activity::Unknown => None,
    }
}

fn hash<'a>(lines: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    lines.for_each(|line| line.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Engine;

    fn read_of(engine: Engine, text: &str) -> Option<Seen> {
        read(engine::of(engine).activity, text)
    }

    #[test]
    fn slots_that_process_are_busy_and_their_numbers_count() {
        let slots = |two: &str| format!("[{{\"id\":0,\"is_processing\":false}},{{\"id\":1,{two}}}]");
        let seen = |two: &str| read_of(Engine::LlamaCpp, &slots(two)).unwrap();
        assert!(!seen("\"is_processing\":false").busy);
        let (one, two) = (seen("\"is_processing\":true,\"n\":1"), seen("\"is_processing\":true,\"n\":2"));
        assert!(one.busy && two.busy && one.counters != two.counters);
        assert_eq!(read_of(Engine::LlamaCpp, "[{\"id\":0}]"), None);
        assert_eq!(read_of(Engine::LlamaCpp, "<html>"), None);
    }

    #[test]
    fn metrics_of_requests_say_who_is_busy_and_those_of_others_do_not_count() {
        let text = |running: &str, tokens: &str, asked: &str| {
            format!(
                "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{{engine=\"0\"}} {running}\n\
                 vllm:num_requests_waiting{{engine=\"0\"}} 0.0\nvllm:generation_tokens_total{{}} {tokens}\n\
                 http_requests_total {asked}\n"
            )
        };
        let seen = |running, tokens, asked| read_of(Engine::Vllm, &text(running, tokens, asked)).unwrap();
        assert!(!seen("0.0", "7", "1").busy && seen("2.0", "7", "1").busy);
        assert_eq!(seen("0.0", "7", "1").counters, seen("0.0", "7", "2").counters);
        assert_ne!(seen("0.0", "7", "1").counters, seen("0.0", "8", "1").counters);
        assert_eq!(read_of(Engine::Vllm, "http_requests_total 1\n"), None);
        assert_eq!(read_of(Engine::Sglang, &text("1", "1", "1")), None);
    }
}
