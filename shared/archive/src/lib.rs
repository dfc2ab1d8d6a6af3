//! Unpacking a tar or zip that may be hostile into one folder, and nothing outside it.
//!
//! Owns which files are archives, what may come out of one, and the room that it may take: [`Root`] is the only way in. The
//! file is hashed in the same read. Knows nothing of what is in an archive.
#![expect(
    clippy::disallowed_methods,
    reason = "unpacks as the user whose folder it is, below that folder's descriptor"
)]
mod chunks;
mod error;
mod folders;
mod hasher;
mod kind;
mod name;
mod position;
mod root;
mod space;
mod stream;
mod tar;
mod xz;
mod zip;

pub use chunks::{Chunk, Tee};
pub use error::ArchiveError;
pub use hasher::HashedFile;
pub use kind::{HEAD, Kind};
pub use position::PositionedReader;
pub use root::{Attributes, Root};
pub use space::Space;
pub use stream::{Sink, hash, head, pump, unpack, unpack_with};
pub use tar::unpack as unpack_tar;
pub use zip::unpack as unpack_zip;
