//! What failed, with the ends of logs, and what was warned of.
use crate::page::{Section, text};
use crate::run::{Entry, Run};

pub(crate) fn section(run: &Run) -> Section {
    let mut section = Section::new("Failures and warnings");
    run.all("failed").for_each(|failed| failure(failed, &mut section));
    run.all("status")
        .filter(|status| status.value("class").is_some())
        .for_each(|status| died(status, &mut section));
    let warning = |one: &Entry| {
        [one.text("rule"), one.subject(), one.text("what"), one.text("hint")].into_iter().map(text).collect()
    };
    section.table(&["warning", "of", "what", "what to do"], run.all("warning").map(warning).collect());
    section
}

fn failure(failed: &Entry, section: &mut Section) {
    let code = failed.text("code");
    section.heading(format!("{}: {} says: {}", failed.subject(), failed.text("by"), failed.text("what")));
    section.text(format!("{}. Exit code {code}{}.", failed.text("cause"), may_help(&code)));
    let members = super::cells::facts(failed, &["class", "exit", "hint"]);
    section.table(&["", ""], members);
    let tail = failed.list("log_tail");
    if !tail.is_empty() {
        section.text("The end of its log:");
        section.lines(tail.join("\n"));
    }
}

fn may_help(code: &str) -> &'static str {
    if code == "75" { ": a retry may help" } else { "" }
}

/// An instance that ended after it had been launched, as istat reports it.
fn died(status: &Entry, section: &mut Section) {
    section.heading(format!("{}: its state is {}", status.subject(), status.text("state")));
    let members =
        super::cells::facts(status, &["class", "reason", "evidence", "hint", "last_exit", "restarts"]);
    section.table(&["", ""], members);
}
