//! The key that the server wants.
use state::Directory;
use std::path::Path;
use tool::{Code, Failure};

/// The key in `file`, else the one that the instance's keeper left; `None` where there is none.
pub(crate) fn of(file: Option<&Path>, place: Option<&Directory>) -> Result<Option<String>, Failure> {
    if let Some(file) = file {
        return ask::read_key(file).map(Some).map_err(|error| {
            Failure::io(Code::Unmet, format!("cannot read the key in {}", file.display()), &error)
        });
    }
    let Some(place) = place else { return Ok(None) };
    place.api_key().map_err(|error| {
        let what = format!("cannot read the key in {}", place.path().join("api-key").display());
        Failure::io(Code::Unmet, what, &error)
            .hint("run as root or as the instance's user, or give the key with --key-file")
    })
}
