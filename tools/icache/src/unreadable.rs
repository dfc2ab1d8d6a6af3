//! Files that could not be read. They say nothing about their packages, which may be whole: such packages are neither reported
//! nor moved.
use crate::survey::{Survey, SurveyResult};
use record::Gap;
use rustix::io::Errno;
use tool::{Code, Failure};

/// The system had too little of something, or was interrupted.
const PASSING: [Errno; 6] =
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::INTR, Errno::AGAIN];

/// What the system says of what we may not read: that may be whole.
pub(crate) const CLOSED: Errno = Errno::ACCESS;

/// Refuse to judge a cache that was not seen as a whole, and to move anything that only may be damaged.
///
/// # Errors
/// 75 where another try may see more; 69 where `moving` and something may not be read.
pub(crate) fn refuse(result: &SurveyResult, survey: &Survey<'_>, moving: bool) -> Result<(), Failure> {
    let what = |verb: &str| format!("cannot {verb} the cache {}", survey.cache_root.display());
    if let Some(gap) = PASSING.iter().find_map(|error| first(&result.gaps, *error)) {
        return Err(Failure::new(Code::Later, what("look at all of"), cause(gap)).hint(
            "run again, with fewer --jobs or a higher limit (ulimit -n, memory); nothing was changed",
        ));
    }
    match first(&result.gaps, CLOSED) {
        Some(gap) if moving => Err(Failure::new(Code::Unmet, what("mend"), cause(gap)).hint(format!(
            "let {} read the cache, with chmod -R a+rX: what is closed may be whole; nothing was changed",
            survey.installer()
        ))),
        _ => Ok(()),
    }
}

/// The first that blocks for this error.
pub(crate) fn first(gaps: &[Gap], error: Errno) -> Option<&Gap> {
    let words = tool::io_text(&error.into());
    let says = |gap: &&Gap| gap.blocks && gap.detail.as_ref().is_some_and(|detail| detail.contains(&words));
    gaps.iter().find(says)
}

fn cause(gap: &Gap) -> String {
    let detail = gap.detail.as_deref().unwrap_or_default();
    match &gap.path {
        Some(path) => format!("{}: {detail}", path.display()),
        None => format!("{}: {detail}", gap.package),
    }
}
