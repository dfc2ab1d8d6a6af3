//! The files that the operator or a plan names: the known answers, and the key.
use ask::KnownAnswers;
use owner::Owner;
use record::Rung;
use std::path::Path;
use tool::{Code, Failure};

/// The answers that a rung wants, from a file that the operator named, or that `user` chose.
pub(crate) fn known(
    goal: Rung,
    file: Option<&Path>,
    user: Option<&Owner>,
) -> Result<Option<KnownAnswers>, Failure> {
    if goal < Rung::Correct {
        return Ok(None);
    }
    let Some(file) = file else {
        return Err(Failure::new(
            Code::Usage,
            "no file for rung correct",
            "neither the command line nor the plan names one",
        )
        .hint(
            "write it with ichat --record FILE where the model is whole, and name it with --answers FILE",
        ));
    };
    let what = || format!("cannot use the answers in {}", file.display());
    let read = user.map_or_else(|| KnownAnswers::read(file), |user| KnownAnswers::read_as(user, file));
    read.map(Some).map_err(|error| Failure::io(Code::Unmet, what(), &error))
}

/// The first line of a key file.
pub(crate) fn read_key(file: &Path) -> Result<String, Failure> {
    ask::read_key(file)
        .map_err(|e| Failure::io(Code::Unmet, format!("cannot read the key in {}", file.display()), &e))
}
