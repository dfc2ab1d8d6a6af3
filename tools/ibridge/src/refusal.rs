//! Why a request got no answer of an engine.

/// What the bridge says in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Seconds after which a retry may help.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None }
    }

    /// The same with when to come again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<messages::Refusal> for Refusal {
    fn from(refusal: messages::Refusal) -> Self {
        Self::new(refusal.status, refusal.message)
    }
}
