//! Who is told of what we write.
use super::Io;
use record::{Record, Warning};
use std::fmt;

type Hear = dyn FnMut(&Record) -> Option<Warning>;

/// Nobody, at first.
#[derive(Default)]
pub(super) struct Witness(Option<Box<Hear>>);

impl Witness {
    /// What is to be said of it.
    pub(super) fn hear(&mut self, record: &Record) -> Option<Warning> {
        self.0.as_mut().and_then(|hear| hear(record))
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Witness(_)" } else { "Witness" })
    }
}

impl Io {
    /// Have `hear` told of every record of our own from now on, in the place of any other; what it answers is a warning.
    pub fn on_write(&mut self, hear: impl FnMut(&Record) -> Option<Warning> + 'static) {
        self.witness = Witness(Some(Box::new(hear)));
    }

    /// The tool's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}
