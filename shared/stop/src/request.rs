//! What is to be stopped.
use state::Directory;

/// One instance that is to be stopped.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its state directory.
    pub place: Directory,
    /// Which keeper may be stopped: any other is left alone, which is a failure with code 75.
    pub expected: Expected,
    /// End its memory too.
    pub forget: bool,
}

impl Request {
    /// Stop whatever runs there.
    #[must_use]
    pub fn of(place: Directory) -> Self {
        Self { place, expected: Expected::Anybody, forget: false }
    }
}

/// Which keeper is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whoever keeps it.
    Anybody,
    /// The process that was seen to.
    Keeper(u32),
    /// Nobody was seen to.
    Nobody,
}
