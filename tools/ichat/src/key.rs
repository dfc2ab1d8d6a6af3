//! The key that the server wants.
use state::Directory;
use std::path::Path;
use tool::{Code, Failure};

/// The key in `file`, else the one that the instance's keeper left; `None` where there is none.
pub(crate) fn of(file: Option<&Path>, place: Option<&Directory>) -> Result<Option<String>, Failure> {
    if let Some(file) = file {
        let what = || format!("cannot read the key in {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|e| Failure::io(Code::Unmet, what(), &e))?;
        let key = text.lines().next().unwrap_or_default().trim();
        if key.is_empty() {
            return Err(Failure::new(Code::Unmet, what(), "its first line is empty"));
        }
        return Ok(Some(key.to_owned()));
    }
    let Some(place) = place else { return Ok(None) };
    place.api_key().map_err(|error| {
        let what = format!("cannot read the key in {}", place.path().join("api-key").display());
        Failure::io(Code::Unmet, what, &error)
            .hint("run as root or as the instance's user, or give the key with --key-file")
    })
}
