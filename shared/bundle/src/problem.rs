//! What can be wrong with a bundle's members.
use std::fmt;

/// One thing that is wrong; the member or package is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// What is said to be in it is not.
    Missing {
        /// Path, or file name where the subdir is not known.
        path: String,
    },
    /// It is in it, and nothing says that it should be.
    Foreign {
        /// Path.
        path: String,
    },
    /// It is not the file that is said to be there.
    WrongHash {
        /// Path.
        path: String,
        /// The sha256 that it should have.
        expected: String,
        /// The one that it has.
        found: String,
    },
    /// It is not as large as it is said to be.
    WrongSize {
        /// Path.
        path: String,
        /// The size that it should have.
        expected: u64,
        /// The one that it has.
        found: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "{path} is missing"),
            Self::Foreign { path } => write!(f, "{path} is one too many"),
            Self::WrongHash { path, expected, found } => {
                write!(f, "{path} has sha256 {found}, not {expected}")
            }
            Self::WrongSize { path, expected, found } => {
                write!(f, "{path} has {found} bytes, not {expected}")
            }
        }
    }
}

/// How many are named before the rest is only counted.
const LISTED: usize = 10;

/// All of them as one cause.
#[must_use]
pub fn summary(problems: &[Problem]) -> String {
    let named: Vec<String> = problems.iter().take(LISTED).map(ToString::to_string).collect();
    let rest = problems.len().saturating_sub(LISTED);
    let more = if rest > 0 { format!("; and {rest} more") } else { String::new() };
    format!("{}{more}", named.join("; "))
}
