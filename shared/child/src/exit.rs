//! How a process has ended, in the suite's words and as a shell counts.
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// As it stands in records and in `status.json`: `exit 1`, `signal 9`.
#[must_use]
pub fn exit_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// As a shell counts: 128 + n for signal n.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let signalled = || status.signal().map(|signal| 128 + signal);
    status.code().or_else(signalled).and_then(|code| u8::try_from(code).ok()).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_and_a_signal_are_told_apart() {
        let [exited, killed] = [3 << 8, 9].map(ExitStatus::from_raw);
        assert_eq!([exit_words(exited), exit_words(killed)], ["exit 3", "signal 9"]);
        assert_eq!([exit_code(exited), exit_code(killed)], [3, 137]);
    }
}
