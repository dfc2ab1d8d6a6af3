//! Unpacking: an archive into one empty folder, hashed in the same read. Owns what may come out of an archive; knows
//! nothing of what is in it.
mod chunks;
mod kind;
mod root;
mod space;
mod stream;
mod tar;
mod trouble;
mod witness;
mod xz;
mod zip;

pub(crate) use kind::{HEAD, Kind};
pub(crate) use root::{Attributes, Root};
pub(crate) use space::Space;
pub(crate) use stream::{bundle_kind, hash, is_known_script, unpack, unpack_bundle};
pub(crate) use trouble::Trouble;
pub(crate) use witness::Witness;
