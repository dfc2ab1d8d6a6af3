//! How grave its writer holds a line.

/// How grave the line's own level is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Level {
    /// Debugging, information or a warning: it proves nothing.
    Low,
    /// A line that calls itself an error.
    Error,
    /// It does not say.
    #[default]
    NotGiven,
}
