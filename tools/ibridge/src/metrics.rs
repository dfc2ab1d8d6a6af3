//! Counts since the start, as OpenMetrics text.
use crate::upstream::{Phase, Upstream};
use messages::usage::Usage;
use openmetrics::Text;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Upper bounds, seconds.
const BOUNDS: [f64; 10] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 600.0];

const MINUTE: Duration = Duration::from_secs(60);
/// Answers of the last minute that are remembered.
const RECENT: usize = 4096;

/// The labels of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    /// `ENGINE/INSTANCE`; empty where none was reached.
    pub(crate) instance: String,
    /// Method and path.
    pub(crate) what: String,
    pub(crate) status: u16,
}

#[derive(Default)]
struct Tokens {
    prompt: u64,
    cached: u64,
    completion: u64,
}

#[derive(Default)]
struct First {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// Counts since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: BTreeMap<Labels, u64>,
    tokens: BTreeMap<String, Tokens>,
    /// When so many tokens were written, by instance, of the last minute.
    recent: BTreeMap<String, VecDeque<(Instant, u64)>>,
    first: BTreeMap<String, First>,
}

impl Metrics {
    pub(crate) fn count(&mut self, labels: Labels, first: Option<Duration>, usage: Usage) {
        let instance = labels.instance.clone();
        *self.requests.entry(labels).or_default() += 1;
        if instance.is_empty() {
            return;
        }
        if let Some(first) = first {
            let seconds = first.as_secs_f64();
            let of = self.first.entry(instance.clone()).or_default();
            of.count += 1;
            of.sum += seconds;
            for (bucket, bound) in of.buckets.iter_mut().zip(BOUNDS) {
                *bucket += u64::from(seconds <= bound);
            }
        }
        let recent = self.recent.entry(instance.clone()).or_default();
        recent.push_back((Instant::now(), usage.completion.unwrap_or(0)));
        while recent.len() > RECENT || recent.front().is_some_and(|(then, _)| then.elapsed() > MINUTE) {
            recent.pop_front();
        }
        let tokens = self.tokens.entry(instance).or_default();
        tokens.prompt += usage.prompt.unwrap_or(0);
        tokens.cached += usage.cached.unwrap_or(0);
        tokens.completion += usage.completion.unwrap_or(0);
    }

    /// Over the last minute, counted where an answer ends.
    pub(crate) fn tokens_a_second(&self, instance: &str) -> f64 {
        let recent = self.recent.get(instance).into_iter().flatten();
        let written =
            recent.filter(|(then, _)| then.elapsed() <= MINUTE).map(|(_, count)| count).sum::<u64>();
        u32::try_from(written).map_or(f64::INFINITY, f64::from) / MINUTE.as_secs_f64()
    }

    /// The whole text.
    pub(crate) fn text(&self, upstreams: &[Arc<Upstream>]) -> String {
        let mut text = Text::default();
        text.family("ibridge_requests", "counter", "Requests that were answered or given up");
        for (Labels { instance, what, status }, count) in &self.requests {
            let labels =
                [("instance", instance.as_str()), ("request", what), ("status", &status.to_string())];
            text.sample("ibridge_requests_total", &labels, &count.to_string());
        }
        text.family(
            "ibridge_first_byte_seconds",
            "histogram",
            "From the request to the first byte of the answer",
        );
        for (instance, first) in &self.first {
            add_histogram(&mut text, "ibridge_first_byte_seconds", instance, first);
        }
        for (kind, help, of) in [
            (
                "prompt",
                "Tokens read, those from the prefix cache among them",
                (|t| t.prompt) as fn(&Tokens) -> u64,
            ),
            ("reused", "Tokens of prompts that came from the prefix cache", |t| t.cached),
            ("completion", "Tokens written", |t| t.completion),
        ] {
            let name = format!("ibridge_{kind}_tokens");
            text.family(&name, "counter", help);
            for (instance, tokens) in &self.tokens {
                text.sample(&format!("{name}_total"), &[("instance", instance)], &of(tokens).to_string());
            }
        }
        text.family("ibridge_requests_under_way", "gauge", "Requests under way");
        for upstream in upstreams {
            let labels = [("instance", upstream.id.as_str())];
            text.sample("ibridge_requests_under_way", &labels, &upstream.load.now().to_string());
        }
        text.family("ibridge_instances", "gauge", "Instances by state");
        for state in ["ready", "loading", "asleep", "down"] {
            let count = upstreams.iter().filter(|upstream| word(&upstream.phase) == state).count();
            text.sample("ibridge_instances", &[("state", state)], &count.to_string());
        }
        text.end()
    }
}

/// The id of a phase.
pub(crate) fn word(phase: &Phase) -> &'static str {
    match phase {
        Phase::Ready => "ready",
        Phase::Loading(_) => "loading",
        Phase::Asleep => "asleep",
        Phase::Down(_) => "down",
    }
}

/// The samples of one histogram.
fn add_histogram(text: &mut Text, name: &str, instance: &str, first: &First) {
    let bucket = format!("{name}_bucket");
    for (bound, count) in BOUNDS.iter().zip(first.buckets) {
        text.sample(&bucket, &[("instance", instance), ("le", &format!("{bound:?}"))], &count.to_string());
    }
    text.sample(&bucket, &[("instance", instance), ("le", "+Inf")], &first.count.to_string());
    text.sample(&format!("{name}_count"), &[("instance", instance)], &first.count.to_string());
    text.sample(&format!("{name}_sum"), &[("instance", instance)], &first.sum.to_string());
}
