//! Standard error: the failure and the lines beside it.
use failure::Failure;
use text::one_line;

/// Write a failure: `tool: what: cause`, and where there is one `tool: hint: …`.
pub(crate) fn print(name: &str, failure: &Failure) {
    let Failure { what, cause, hint, log_tail, .. } = failure;
    let lines = [("", format!("{what}: {cause}"))].into_iter();
    let lines = lines.chain(log_tail.iter().map(|line| ("log: ", line.clone())));
    let lines = lines.chain(hint.iter().map(|hint| ("hint: ", hint.clone())));
    // Each may hold text of others, which must neither begin a line nor control the terminal.
    say(&lines.map(|(of, line)| format!("{name}: {of}{}\n", one_line(&line))).collect::<String>());
}

/// Write in one piece, above any progress bar. A closed stderr is no reason to fail.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    crate::progress::lines().suspend(|| drop(std::io::stderr().lock().write_all(text.as_bytes())));
}
