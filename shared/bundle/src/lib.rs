//! What a pixi-pack bundle is and what its manifest says.
//!
//! Owns the names of a bundle's members, the form of one that is a script, the file `<bundle>.json` beside it, the
//! comparison of its members with pixi.lock, and the list of what a machine has already. Unpacks nothing: whoever does hands
//! over what it saw as [`Member`]s.
pub mod inventory;
mod locked;
mod manifest;
mod member;
mod pack_info;
mod problem;
mod script;

pub use inventory::{Inventory, PackageFile};
pub use locked::{Comparison, check, compare};
pub use manifest::Manifest;
pub use member::{Member, MemberKind};
pub use pack_info::PackInfo;
pub use problem::{Problem, summary};
pub use script::{HEADER_CEILING, Script};

/// The byte order mark that some editors put before text. Nobody's JSON begins with one, pixi-unpack's neither.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const HAS_BYTE_ORDER_MARK: &str = "it begins with a byte order mark";
