//! One part of a split file: its self-description and how it is checked.
//!
//! A part is one block of [`DESCRIPTION_BYTES`] that says what it is, then its share of the whole, as it is. So a person
//! with nothing but `head` and `tail` can read and join parts too.
mod chunks;
mod description;
mod digester;
mod parity;

pub use chunks::{CHUNK_BYTES, Chunk, Chunks};
pub use description::{DESCRIPTION_BYTES, DescriptionError, Part, WholeFile, is_name, parse_part_name};
pub use digester::{Digester, Hasher};
pub use parity::Parity;
