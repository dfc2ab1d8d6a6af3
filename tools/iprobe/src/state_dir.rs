//! What is read of an instance's state directory, and the failures where it cannot be.
use record::Plan;
use state::Directory;
use std::path::Path;
use tool::{Code, Failure};

pub(crate) fn plan_of(directory: &Directory) -> Result<Plan, Failure> {
    let plan = directory.plan().map_err(|error| unreadable(directory, "plan.json", &error))?;
    plan.ok_or_else(|| nothing_kept(directory))
}

pub(crate) fn nothing_kept(directory: &Directory) -> Failure {
    let what = format!("no instance in {}", directory.path().display());
    Failure::new(Code::Input, what, "no keeper has written there")
}

pub(crate) fn unreadable(directory: &Directory, name: &str, error: &std::io::Error) -> Failure {
    let path = directory.path().join(name);
    let failure = Failure::io(Code::Unmet, format!("cannot read {}", Path::display(&path)), error);
    let closed = error.kind() == std::io::ErrorKind::PermissionDenied;
    if closed { failure.hint("run as root or as the instance's user") } else { failure }
}
