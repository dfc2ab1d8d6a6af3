//! The run on one screen, for a person at a terminal: what, how it stands, and below what is not well what to do.
use crate::run::{Entry, Run};
use crate::sections::{last_ms, size};

/// What of a text fits a line.
const CUT: usize = 200;
/// How many gaps of one cache are named.
const GAPS: usize = 10;

/// Tools that check: that there was nothing to check says nothing to a person.
const OPTIONAL_TOOLS: [&str; 3] = ["iwarm", "icache", "imodel"];

struct Row {
    what: String,
    state: String,
    /// What to do; empty where all is well.
    to_do: String,
}

/// One line for each subject of the records, in their order, under a head.
pub(crate) fn render(run: &Run) -> String {
    let mut rows: Vec<Row> = run.entries.iter().filter_map(row).collect();
    rows.extend(gaps(run));
    if let Some(damage) = &run.damage {
        rows.push(of("stream".to_owned(), format!("not whole: {damage}")));
    }
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0).max(4);
    let mut text = format!("{:width$}  STATE\n", "WHAT");
    for Row { what, state, to_do } in rows {
        text.push_str(&format!("{:width$}  {}\n", tool::one_line(&what), line(&state)));
        if !to_do.is_empty() {
            text.push_str(&format!("{:width$}    to do: {}\n", "", line(&to_do)));
        }
    }
    text
}

fn of(what: String, state: String) -> Row {
    Row { what, state, to_do: String::new() }
}

/// A record as a person reads it; `None` where another record has more of the same.
fn row(entry: &Entry) -> Option<Row> {
    let subject = entry.subject();
    let row = match entry.kind() {
        "env" => of(format!("{subject} variables"), resolved(entry)),
        "warmed" => of(format!("{subject} cache"), format!("filled by pixi {}", entry.text("pixi_version"))),
        "cache" => of(format!("{subject} cache"), cache(entry)),
        "installed" => of(format!("{subject} install"), installed(entry)),
        "plan" => of(format!("{subject} plan"), planned(entry)),
        "model" => of(format!("{subject} {}", entry.text("role")), weights(entry)),
        "ready" => of(subject, ready(entry)),
        "answer" => of(subject, format!("answers: {}", entry.text("content").trim())),
        "stopped" => of(subject, format!("stopped ({})", entry.text("how"))),
        "status" => {
            let state = [entry.text("state"), entry.text("class"), entry.text("reason")];
            let state = state.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
            Row { to_do: entry.text("hint"), ..of(subject, state) }
        }
        "skipped" if !OPTIONAL_TOOLS.contains(&entry.text("by").as_str()) => {
            of(subject, format!("{} did nothing: {}", entry.text("by"), entry.text("why")))
        }
        "warning" => {
            let what = format!("{subject} {}", entry.text("rule"));
            Row { to_do: entry.text("hint"), ..of(what, format!("warning: {}", entry.text("what"))) }
        }
        "failed" => {
            let state = format!("failed: {}: {}", entry.text("what"), entry.text("cause"));
            Row { to_do: entry.text("hint"), ..of(format!("{subject} {}", entry.text("by")), state) }
        }
        _ => return None,
    };
    Some(row)
}

fn resolved(env: &Entry) -> String {
    let road = env.text("road");
    let road = if road.is_empty() { "no road to an install".to_owned() } else { format!("{road} road") };
    let config = env.text("config");
    if config.is_empty() { road } else { format!("{road}, {config}") }
}

fn cache(cache: &Entry) -> String {
    match cache.number("gaps") {
        Some(gaps) if gaps > 0.0 => format!("{gaps} gaps in {} packages", cache.text("packages")),
        _ => format!("whole, {} packages, {}", cache.text("packages"), size(cache.number("bytes"))),
    }
}

fn installed(installed: &Entry) -> String {
    let how = if installed.flag("reused") { "was there already" } else { "made" };
    format!("{how}, {}", installed.text("path"))
}

fn planned(plan: &Entry) -> String {
    let port = plan.text("port");
    let port = if port.is_empty() { "no port".to_owned() } else { format!("port {port}") };
    let runs = if plan.flag("reused") { ", runs already" } else { "" };
    format!("{port}, GPUs {}{runs}", plan.text("gpu_ids"))
}

fn weights(model: &Entry) -> String {
    let size = size(model.number("bytes"));
    if model.flag("complete") {
        let proved = match (model.text("manifest").is_empty(), model.text("signature").is_empty()) {
            (true, true) => "",
            (false, true) => " and as recorded",
            (true, false) => " and as signed",
            (false, false) => ", as recorded and as signed",
        };
        format!("whole{proved}, {}, {size}, {}", model.text("format"), model.text("path"))
    } else {
        format!("not whole: {}", model.list("problems").join("; "))
    }
}

fn ready(ready: &Entry) -> String {
    let after = last_ms(ready).map(|ms| format!(" after {:.1} s", ms / 1e3)).unwrap_or_default();
    format!("ready on {}{after}, rung {}", ready.text("url"), ready.text("rung"))
}

/// The first gaps of each cache. The command that wrote the failure about them says what to do.
fn gaps(run: &Run) -> Vec<Row> {
    let all: Vec<&Entry> = run.all("gap").collect();
    let named = all.iter().take(GAPS).map(|gap| {
        let what = format!("{} {} {}", gap.subject(), gap.text("package"), gap.text("version"));
        of(what.trim().to_owned(), format!("{}: {}", gap.text("reason"), gap.text("detail")))
    });
    let more = all.len().saturating_sub(GAPS);
    let more = (more > 0).then(|| of("gaps".to_owned(), format!("{more} more")));
    named.chain(more).collect()
}

/// Without what a terminal obeys, and no longer than a person reads.
fn line(text: &str) -> String {
    let text = tool::one_line(text);
    match text.char_indices().nth(CUT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
