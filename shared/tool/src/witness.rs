//! Who is told of what we write.
use record::{Record, Warning};
use std::fmt;

type Hear = dyn FnMut(&Record) -> Option<Warning>;

/// Nobody, at first.
#[derive(Default)]
pub(crate) struct Witness(Option<Box<Hear>>);

impl Witness {
    pub(crate) fn new(hear: impl FnMut(&Record) -> Option<Warning> + 'static) -> Self {
        Self(Some(Box::new(hear)))
    }

    /// What is to be said of it.
    pub(crate) fn hear(&mut self, record: &Record) -> Option<Warning> {
        self.0.as_mut().and_then(|hear| hear(record))
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Witness(_)" } else { "Witness" })
    }
}
