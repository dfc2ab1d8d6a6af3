//! uv's cache of source distributions as pixi uses it: `sdists-v9/…/revision.http`, beside it a folder with the unpacked
//! source and the wheels that were built from it.
use crate::pointer;
use serde::Deserialize;
use std::io;
use std::path::Path;

/// A source distribution that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The folder's name beside the file. It is random.
    pub id: String,
    /// The hashes that were known when it was fetched, algorithm (`Sha256`, `Md5`) and hex; none where nobody asked.
    pub hashes: Vec<(String, String)>,
}

/// `[id, [[algorithm, hex], …]]`, as rmp-serde writes uv's `Revision`.
#[derive(Deserialize)]
struct EncodedRevision(String, Vec<(String, String)>);

impl Revision {
    /// Read `revision.http`.
    ///
    /// # Errors
    /// What the system says, or what is wrong with the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let EncodedRevision(id, hashes) = pointer::read(path)?;
        if !pointer::is_name(&id) {
            return Err(io::Error::other(format!("it names the folder '{id}'")));
        }
        Ok(Self { id, hashes })
    }
}
