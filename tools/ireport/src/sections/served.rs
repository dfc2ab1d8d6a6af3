//! From the plan to the answer.
use super::cells::facts;
use crate::page::{Cell, Section, code, text};
use crate::run::{Entry, Run};
use record::Rung;

/// When a rung was reached.
pub(crate) fn rung_ms(ready: &Entry, rung: Rung) -> Option<f64> {
    ready.number(&format!("{}_ms", rung.id()))
}

/// When the highest rung was reached.
pub(crate) fn last_ms(ready: &Entry) -> Option<f64> {
    Rung::ALL.into_iter().rev().find_map(|rung| rung_ms(ready, rung))
}

/// Every plan, and what was made of it.
pub(crate) fn launched(run: &Run) -> Section {
    let mut section = Section::new("Planned and launched");
    for plan in run.all("plan") {
        section.heading(plan.subject());
        section.lines(command(plan));
        let names =
            ["user", "host", "port", "model", "served_name", "gpu_ids", "log_file", "state_dir", "cache_dir"];
        let mut rows = facts(plan, &names);
        rows.extend(facts(plan, &["secrets", "env_dropped", "reused", "stale", "hash"]));
        let instance = run.all("instance").find(|instance| instance.subject() == plan.subject());
        rows.extend(instance.iter().flat_map(|instance| facts(instance, &["keeper_pid"])));
        section.table(&["", ""], rows);
        section.table(&["variable set", ""], pairs(plan, "env_set"));
        section.table(&["control", ""], pairs(plan, "control"));
        if instance.is_none() {
            section.text("It was not launched.");
        }
    }
    let unplanned = |one: &&Entry| !run.all("plan").any(|plan| plan.subject() == one.subject());
    let row =
        |one: &Entry| vec![code(one.subject()), code(one.list("argv").join(" ")), code(one.text("log_file"))];
    section.table(
        &["launched without a plan here", "command", "log"],
        run.all("instance").filter(unplanned).map(row).collect(),
    );
    section
}

fn pairs(entry: &Entry, name: &str) -> Vec<Vec<Cell>> {
    entry.pairs(name).into_iter().map(|(name, value)| vec![code(name), code(value)]).collect()
}

/// The command line, one flag with its values to a line.
fn command(plan: &Entry) -> String {
    let mut out = quoted(&plan.text("program"));
    for word in plan.list("args") {
        out.push_str(if word.starts_with('-') { " \\\n    " } else { " " });
        out.push_str(&quoted(&word));
    }
    out
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// When each instance reached which rung, from the moment that the probe saw it.
pub(crate) fn rungs(run: &Run) -> Section {
    let row = |one: &Entry| {
        let mut row = vec![code(one.subject()), code(one.text("url")), code(one.text("model_id"))];
        let ms = |rung| rung_ms(one, rung).map(|ms| format!("{ms:.0}")).unwrap_or_default();
        row.extend(Rung::ALL.map(|rung| text(ms(rung))));
        row
    };
    let head =
        ["ready", "address", "model", "alive ms", "healthy ms", "listed ms", "answering ms", "correct ms"];
    let mut section = super::cells::tabled("Rungs", &head, run.all("ready").map(row).collect());
    let state = |one: &Entry| {
        let numbers =
            ["state", "rung", "restarts", "up_s", "rss_bytes", "gpu_bytes"].map(|name| text(one.text(name)));
        let mut row = vec![code(one.subject())];
        row.extend(numbers);
        row
    };
    let head = ["now", "state", "rung", "restarts", "up s", "memory bytes", "GPU bytes"];
    section.table(&head, run.all("status").map(state).collect());
    let stopped = |one: &Entry| {
        let words = ["how", "orphans", "seconds"].map(|name| text(one.text(name)));
        let mut row = vec![code(one.subject())];
        row.extend(words);
        row
    };
    section.table(&["stopped", "how", "orphans", "seconds"], run.all("stopped").map(stopped).collect());
    section
}

/// What was said, and the response as it came.
pub(crate) fn answers(run: &Run) -> Section {
    let mut section = Section::new("Answers");
    for answer in run.all("answer") {
        let subject = answer.subject();
        section.heading(if subject.is_empty() { "a server named by its URL".to_owned() } else { subject });
        let names = ["prompt_tokens", "completion_tokens", "ttft_ms", "tokens_per_second"];
        section.table(&["", ""], facts(answer, &names));
        for (title, name) in [("Asked:", "prompt"), ("Its reasoning:", "reasoning"), ("It said:", "content")]
        {
            if answer.value(name).is_some() {
                section.text(title);
                section.lines(answer.text(name));
            }
        }
        match answer.value("raw") {
            Some(_) => {
                section.text("The response as it came, the data of one event to a line:");
                section.lines(answer.text("raw"));
            }
            None => section.text("The response as it came was not recorded (ichat --raw)."),
        }
    }
    section
}
