//! The install that a source made before.
use crate::road::method::Options;
use crate::source::OpenSource;
use install::{Install, InstallRoot};
use tool::Failure;

/// The install that this source made before: known by how the file looks, or, where one of that size is installed, by its
/// hash. `check_sha256` refuses a hash that is not the one asked for.
pub(crate) fn find_existing(
    source: &OpenSource,
    options: &Options<'_>,
    root: &InstallRoot,
    check_sha256: impl Fn(&str) -> Result<(), Failure>,
) -> Result<Option<Install>, Failure> {
    let fingerprint = &source.fingerprint;
    let mut complete = root.complete();
    complete.retain(|install| install.record.engine == options.env.engine && install.is_complete());
    let same = |install: &&Install| install.record.source.as_ref() == Some(fingerprint);
    if let Some(install) = complete.iter().find(same).filter(|_| !options.rehash) {
        check_sha256(&install.record.id)?;
        return Ok(Some(install.clone()));
    }
    let size = |install: &Install| install.record.source.as_ref().map(|source| source.size_bytes);
    if !complete.iter().any(|install| size(install) == Some(fingerprint.size_bytes)) {
        return Ok(None);
    }
    let hashed = source.hash()?;
    check_sha256(&hashed)?;
    Ok(complete.into_iter().find(|install| install.record.id == hashed))
}
