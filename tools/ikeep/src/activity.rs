//! Whether an engine is at work, from what it says of itself.
use ask::{Error, Target};
use engine::Activity;
use record::Plan;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// What it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActivitySample {
    /// Requests are under way, or wait.
    pub(crate) busy: bool,
    /// Stands for all its counters: it changes when any of them moves.
    pub(crate) counters: u64,
    /// Stands for those that only a request moves.
    pub(crate) served: u64,
}

/// What an engine says of itself. Fails with the reason where it never will, and without where it does not now.
pub(crate) fn ask(plan: &Plan, server: &Target, limit: Duration) -> Result<ActivitySample, Option<String>> {
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

/// The path to ask; `None` for an engine that does not say whether it is busy.
fn path(activity: Activity) -> Option<&'static str> {
    match activity {
        Activity::Slots(path) | Activity::Metrics { path, .. } => Some(path),
        Activity::Unknown => None,
    }
}

/// Read its answer; `None` where that does not say whether it is busy.
fn read(activity: Activity, text: &str) -> Option<ActivitySample> {
    match activity {
        Activity::Slots(_) => {
            let slots: Vec<Value> = serde_json::from_str(text).ok()?;
            let works = |slot: &Value| slot.get("is_processing")?.as_bool();
            let working: Option<Vec<bool>> = slots.iter().map(works).collect();
            let all = hash(std::iter::once(text));
            Some(ActivitySample { busy: working?.contains(&true), counters: all, served: all })
        }
        Activity::Metrics { prefix, requests, served, .. } => {
            let own = || text.lines().filter(|line| line.starts_with(prefix));
            let of = |names: &'static [&'static str]| {
                own().filter(move |line| {
                    line.split(['{', ' ']).next().is_some_and(|name| names.contains(&name))
                })
            };
            let count = |line: &str| line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok());
            let some = |line: &str| count(line).is_none_or(|count| count > 0.0);
            // SGLang counts its requests once there was one; until then nobody has been served either.
            let told = of(requests).next().is_some() || (own().next().is_some() && !of(served).any(some));
            told.then(|| ActivitySample {
                busy: of(requests).any(some),
                counters: hash(own()),
                served: hash(of(served)),
            })
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

    fn read_of(engine: Engine, text: &str) -> Option<ActivitySample> {
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
    #[test]
    fn what_moves_without_a_request_is_no_use_of_it() {
        let text = |health: &str, tokens: &str| {
            format!(
                "sglang:process_cpu_seconds_total{{component=\"tokenizer\"}} {health}\n\
                 sglang:http_requests_total{{endpoint=\"/health\"}} {health}\n\
                 sglang:num_running_reqs{{tp_rank=\"0\"}} 0.0\nsglang:num_queue_reqs{{tp_rank=\"0\"}} 0.0\n\
                 sglang:generation_tokens_total{{is_streaming=\"true\"}} {tokens}\n"
            )
        };
        let seen = |health, tokens| read_of(Engine::Sglang, &text(health, tokens)).unwrap();
        let (first, later) = (seen("1.5", "7.0"), seen("2.5", "7.0"));
        assert!(first.served == later.served && first.counters != later.counters && !later.busy);
        assert_ne!(first.served, seen("1.5", "8.0").served);
    }

    #[test]
    fn one_that_has_served_nobody_yet_is_idle_and_one_that_has_and_counts_no_requests_does_not_tell() {
        let early = "sglang:http_requests_total{endpoint=\"/health\"} 3.0\n";
        assert!(read_of(Engine::Sglang, early).is_some_and(|seen| !seen.busy));
        let other = format!("{early}sglang:generation_tokens_total{{}} 3.0\n");
        assert_eq!(read_of(Engine::Sglang, &other), None);
    }
}
