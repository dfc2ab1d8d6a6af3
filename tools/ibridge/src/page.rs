//! The status page: one HTML document with nothing in it from elsewhere, which loads itself again.
use crate::metrics::{Metrics, word};
use crate::upstream::{Phase, Upstream};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>infer-dev</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --paper: #ffffff; --line: #d1d9e0;
  --ready: #1a7f37; --loading: #9a6700; --asleep: #59636e; --down: #d1242f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --paper: #0d1117; --line: #3d444d;
  --ready: #3fb950; --loading: #d29922; --asleep: #9198a1; --down: #f85149; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; padding: 0 1rem;
  max-width: 75rem; }
h1 { font-size: 1.4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; }
.ready { color: var(--ready); } .loading { color: var(--loading); } .asleep { color: var(--asleep); } .down { color: var(--down); }
.why td { color: var(--soft); border-top: 0; }
footer { color: var(--soft); margin-top: 1.5rem; }
</style>
</head>
<body>
<h1>infer-dev: instances behind this address</h1>
<div class="wide"><table>
<thead><tr><th>Instance</th><th>State</th><th>Model</th><th>Up</th><th>Restarts</th><th>Memory</th><th>Under way</th><th>Tokens a second</th></tr></thead>
<tbody>
"#;

/// The whole document.
pub(crate) fn html(upstreams: &[Arc<Upstream>], metrics: &Metrics, memory: &[Option<u64>]) -> String {
    let mut page = String::from(HEAD);
    for (upstream, memory) in upstreams.iter().zip(memory) {
        row(&mut page, upstream, metrics, *memory);
    }
    if upstreams.is_empty() {
        page.push_str("<tr><td colspan=\"8\">No instance was started.</td></tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n<footer>Looks again every five seconds. Counts: <a href=\"/metrics\">/metrics</a></footer>\n</body>\n</html>\n");
    page
}

/// Resident memory of the processes of each; takes as long as it takes to read /proc.
pub(crate) fn memory(upstreams: &[Arc<Upstream>]) -> Vec<Option<u64>> {
    let of = |upstream: &Arc<Upstream>| {
        let kept = upstream.kept.as_ref().filter(|kept| kept.status.pid.is_some())?;
        let family = tree::family(kept.status.keeper_pid);
        (!family.is_empty()).then(|| tree::usage(&family).rss_bytes)
    };
    upstreams.iter().map(of).collect()
}

fn row(page: &mut String, upstream: &Upstream, metrics: &Metrics, memory: Option<u64>) {
    let status = upstream.kept.as_ref().map(|kept| &kept.status);
    let state = word(&upstream.phase);
    let more = match upstream.phase {
        Phase::Loading(why) | Phase::Down(why) => format!(": {why}"),
        Phase::Asleep => ": a request starts it".to_owned(),
        Phase::Ready => String::new(),
    };
    let model = match (upstream.names.as_slice(), upstream.kept.as_ref().and_then(|kept| kept.model.as_ref()))
    {
        ([], Some(model)) => model.clone(),
        (names, _) => names.join(", "),
    };
    let dash = || "–".to_owned();
    let up = status.filter(|status| status.pid.is_some()).and_then(|status| status.started_unix);
    let cells = [
        up.map_or_else(dash, since),
        status.map_or_else(dash, |status| status.restarts.to_string()),
        memory.map_or_else(dash, |bytes| format!("{} MiB", bytes >> 20)),
        upstream.load.now().to_string(),
        format!("{:.1}", metrics.tokens_a_second(&upstream.id)),
    ];
    write!(
        page,
        "<tr><td>{}</td><td class=\"{state}\">{state}{}</td><td>{}</td>",
        escape(&upstream.id),
        escape(&more),
        escape(&model)
    )
    .ok();
    for cell in cells {
        write!(page, "<td class=\"n\">{}</td>", escape(&cell)).ok();
    }
    page.push_str("</tr>\n");
    if let Some(why) = status.and_then(why) {
        writeln!(page, "<tr class=\"why\"><td></td><td colspan=\"7\">{}</td></tr>", escape(&why)).ok();
    }
}

/// The last failure with its class, and what helps.
fn why(status: &state::Status) -> Option<String> {
    let reason = status.reason.as_ref().or(status.last_exit.as_ref())?;
    let class = status.class.as_ref().map_or(String::new(), |class| format!(" ({class})"));
    let evidence = status.evidence.as_ref().map_or(String::new(), |line| format!(": {line}"));
    let hint = status.hint.as_ref().map_or(String::new(), |hint| format!(" Hint: {hint}."));
    Some(format!("Last failure{class}: {reason}{evidence}.{hint}"))
}

fn since(unix: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    let seconds = std::time::Duration::try_from_secs_f64((now - unix).max(0.0)).map_or(0, |up| up.as_secs());
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What an instance's user wrote is text, and no markup.
fn escape(text: &str) -> String {
    let clean = tool::one_line(text);
    clean.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_no_markup() {
        assert_eq!(escape("<script>\"&'\n</script>"), "&lt;script&gt;&quot;&amp;' &lt;/script&gt;");
    }

    #[test]
    fn a_page_of_nothing_says_so_and_takes_nothing_from_elsewhere() {
        let page = html(&[], &Metrics::default(), &[]);
        assert!(page.contains("No instance was started."));
        for word in ["<script", "http://", "https://", "<img", "<link", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
