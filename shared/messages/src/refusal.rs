//! Why a request is not passed on.
use serde_json::Value;
use std::fmt;

/// Why a request is not passed on: an HTTP status and one line that names the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status of the answer, 400 for all that this crate refuses.
    pub status: u16,
    /// The field with its path and what is wrong with it, as `messages.3.content.0.text: not a string`.
    pub message: String,
}

impl Refusal {
    /// A field that the API does not have in this form.
    pub(crate) fn field(path: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self { status: 400, message: format!("{path}: {problem}") }
    }

    /// The body of the answer in Anthropic's shape.
    #[must_use]
    pub fn body(&self) -> Value {
        crate::errors::anthropic(self.status, &self.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
