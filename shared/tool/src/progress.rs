//! Progress for a person: on stderr, only where it is a terminal, never on the wire.
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::LazyLock;

/// The terminal's lines. indicatif draws nothing where stderr is not a terminal.
static LINES: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// All the progress lines of this process.
#[must_use]
pub fn lines() -> &'static MultiProgress {
    &LINES
}

/// A bar that counts bytes; `total` 0 means that nobody knows.
#[must_use]
pub fn bytes_bar(what: &str, total: u64) -> ProgressBar {
    let bar = if total == 0 { ProgressBar::no_length() } else { ProgressBar::new(total) };
    let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    styled(bar, template, what)
}

/// A line of text that is rewritten as things go on.
#[must_use]
pub fn instance_line(what: &str) -> ProgressBar {
    styled(ProgressBar::no_length(), "{msg}", what)
}

fn styled(bar: ProgressBar, template: &str, what: &str) -> ProgressBar {
    // First of all: a bar on its own would draw its first line where nobody clears it.
    let bar = LINES.add(bar);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what.to_owned());
    bar
}
