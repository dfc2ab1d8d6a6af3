//! The severity that a line of a log gives itself.

/// The level that is written in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    /// Debugging, information or a warning: only patterns that ask for such lines look at it.
    Low,
    /// A line that calls itself an error.
    Error,
    /// It does not say.
    #[default]
    NotGiven,
}
