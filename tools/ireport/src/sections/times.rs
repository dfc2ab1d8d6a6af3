//! The timeline: what took how long, and when.
use super::served::rung_ms;
use crate::page::{Bar, Block, Section};
use crate::run::{Entry, Run};
use record::Rung;

pub(crate) fn section(run: &Run) -> Section {
    let mut section = Section::new("Timeline");
    let spans: Vec<Span> = run.entries.iter().flat_map(spans).collect();
    if spans.is_empty() {
        return section;
    }
    let dated = spans.iter().all(|span| span.end_unix.is_some());
    section.text(match dated {
        true => "Seconds since the first step began.",
        false => {
            "The stream has no times (INFER_DEV_KEEP was not set): the steps are drawn one after the other."
        }
    });
    let bars = if dated { at_their_times(&spans) } else { one_after_the_other(&spans) };
    section.blocks.push(Block::Timeline(bars));
    section
}

/// Something that took time.
struct Span {
    label: String,
    seconds: f64,
    /// When it was over.
    end_unix: Option<f64>,
    failed: bool,
}

fn spans(entry: &Entry) -> Vec<Span> {
    let end_unix = entry.number("at_unix");
    let span = |what: &str, seconds: f64| Span {
        label: format!("{} {what}", entry.subject()).trim().to_owned(),
        seconds: seconds.max(0.0),
        end_unix,
        failed: false,
    };
    match entry.kind() {
        "ready" => rungs(entry),
        "answer" => vec![span("answer", answer_s(entry))],
        "failed" => vec![Span { failed: true, ..span(&format!("failed: {}", entry.text("by")), 0.0) }],
        kind => {
            let kind = if entry.flag("reused") { format!("{kind}, reused") } else { kind.to_owned() };
            entry.number("seconds").map(|seconds| span(&kind, seconds)).into_iter().collect()
        }
    }
}

/// From one rung to the next; the record is written at the last one.
fn rungs(ready: &Entry) -> Vec<Span> {
    let reached: Vec<(Rung, f64)> =
        Rung::ALL.into_iter().filter_map(|rung| Some((rung, rung_ms(ready, rung)?))).collect();
    let last = reached.last().map_or(0.0, |(_, ms)| *ms);
    let mut before = 0.0;
    let mut spans = Vec::new();
    for (rung, ms) in reached {
        let end_unix = ready.number("at_unix").map(|at| at - (last - ms) / 1e3);
        let label = format!("{} {}", ready.subject(), rung.id());
        spans.push(Span { label, seconds: ((ms - before) / 1e3).max(0.0), end_unix, failed: false });
        before = ms;
    }
    spans
}

/// To the first token, and the other tokens at their rate.
fn answer_s(answer: &Entry) -> f64 {
    let first = answer.number("ttft_ms").unwrap_or(0.0) / 1e3;
    let more = answer.number("completion_tokens").map_or(0.0, |tokens| (tokens - 1.0).max(0.0));
    let rate = answer.number("tokens_per_second").filter(|rate| *rate > 0.0);
    first + rate.map_or(0.0, |rate| more / rate)
}

fn at_their_times(spans: &[Span]) -> Vec<Bar> {
    let end = |span: &Span| span.end_unix.unwrap_or(0.0);
    let first = spans.iter().map(|span| end(span) - span.seconds).fold(f64::INFINITY, f64::min);
    let bar = |span: &Span| {
        let end_s = end(span) - first;
        Bar {
            label: span.label.clone(),
            start_s: (end_s - span.seconds).max(0.0),
            end_s,
            failed: span.failed,
        }
    };
    spans.iter().map(bar).collect()
}

fn one_after_the_other(spans: &[Span]) -> Vec<Bar> {
    let mut at = 0.0;
    let bar = |span: &Span| {
        let start_s = at;
        at += span.seconds;
        Bar { label: span.label.clone(), start_s, end_s: at, failed: span.failed }
    };
    spans.iter().map(bar).collect()
}
