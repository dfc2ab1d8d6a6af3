//! Why a lock file cannot be used.

/// The oldest and the newest version that is understood. pixi 0.77 writes 7 and reads from 1.
pub(crate) const VERSIONS: std::ops::RangeInclusive<u32> = 4..=7;

/// Why a lock file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not YAML, or not of the shape that its version has.
    Malformed(String),
    /// A version that is not understood.
    Version(u32),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(cause) => f.write_str(cause),
            Self::Version(version) => {
                let (oldest, newest) = (VERSIONS.start(), VERSIONS.end());
                write!(f, "it has version {version}; versions {oldest} to {newest} are understood")
            }
        }
    }
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed(_) => {
                "copy it again from where it was made, or make it again there with pixi lock"
            }
            Self::Version(version) if version < VERSIONS.start() => {
                "make it again with pixi lock, by a newer pixi"
            }
            Self::Version(_) => "make it again with pixi lock, by a pixi that writes version 7",
        }
    }
}
