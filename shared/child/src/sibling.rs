//! Another tool of the suite.
use failure::{Code, Failure};
use std::path::PathBuf;

/// The tool of this name: beside our own executable, else in PATH.
///
/// # Errors
/// Code 69: it is in neither.
pub fn sibling(name: &str) -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(name));
    if let Some(beside) = beside.filter(|path| owner::is_file(path)) {
        return Ok(beside);
    }
    which::which(name).map_err(|error| {
        let hint = "install the tools of infer-dev into one folder";
        Failure::new(Code::Unmet, format!("cannot find {name}"), error.to_string()).hint(hint)
    })
}
