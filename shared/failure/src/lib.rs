//! What went wrong, in words for a person and as a code for a program.
//!
//! Owns [`Failure`] and the suite's exit codes. Prints nothing: `tool` does.
use std::io;

/// The suite's exit codes; 0 is done, 126 and above belong to the program that `iseal` or a foreground instance ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 1: the question was understood and the answer is no. The caller branches.
    No,
    /// 2: wrong command line. The caller fixes the call.
    Usage,
    /// 65: malformed or wrong input, or a needed record never came. The caller looks upstream.
    Input,
    /// 69: this machine or the operator's set-up lacks something. A person acts.
    Unmet,
    /// 75: temporary; a retry may help.
    Later,
    /// 126 and above: what became of the program that `iseal` or a foreground instance was to run, as a shell says it.
    Child(u8),
}

impl Code {
    /// Those that a tool may have of itself.
    pub const OWN: [Self; 5] = [Self::No, Self::Usage, Self::Input, Self::Unmet, Self::Later];

    /// The one of a tool that has exited with this number; `None` for what is none of ours.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        Self::OWN.into_iter().find(|code| code.number() == number)
    }

    /// The number that the process exits with.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::No => 1,
            Self::Usage => 2,
            Self::Input => 65,
            Self::Unmet => 69,
            Self::Later => 75,
            Self::Child(code) => code,
        }
    }
}

/// A failure: what could not be done (the object named), why (the system's words), what to do about it, and the code.
///
/// Texts are lower case, without a full stop, and do not name the tool: the printer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// What could not be done.
    pub what: String,
    /// Why.
    pub cause: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Failure class of an engine.
    pub class: Option<String>,
    /// How the child ended: `exit 1`, `signal 9`.
    pub exit: Option<String>,
    /// The last lines of its log.
    pub log_tail: Vec<String>,
}

impl Failure {
    /// A failure with its cause, both in words.
    pub fn new(code: Code, what: impl Into<String>, cause: impl Into<String>) -> Self {
        let (what, cause) = (what.into(), cause.into());
        Self { code, what, cause, hint: None, class: None, exit: None, log_tail: Vec::new() }
    }

    /// A failure of the operating system; the cause is its message without Rust's error number.
    pub fn io(code: Code, what: impl Into<String>, error: &io::Error) -> Self {
        Self::new(code, what, io_text(error))
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The system's words for an error, without Rust's `(os error N)`.
#[must_use]
pub fn io_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_come_without_rusts_number() {
        let error = io::Error::from_raw_os_error(2);
        let failure = Failure::io(Code::Unmet, "cannot read /x", &error);
        assert_eq!(failure.cause, "No such file or directory");
    }
}
