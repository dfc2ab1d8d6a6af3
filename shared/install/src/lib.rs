//! The install root of an engine: its installs, which of them is current, and the marker that makes a folder one.
//!
//! `.installs/` holds the installs and the attempts at one. The link `current` alone decides which install is used, and the
//! fixed links lead through it. Everything that changes something wants the lock of the root, and runs as the user whose
//! root it is. Readers, who may be root, go through shared/owner.
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod attempt;
mod held;
mod linked;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod links;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod lock;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod marker;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod prune;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod refused;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod root;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod sync;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod with_install_root;

pub use attempt::Attempt;
pub use held::{hold, is_current, is_install, marker_of};
pub use linked::{InstallLink, LINK};
pub use lock::{NO_LOCKS, RootLock};
pub use marker::{DRAFT as MARKER_DRAFT, Install, NAME as MARKER};
pub use refused::{READ_ONLY, refused};
pub use root::{CURRENT, INSTALLS, InstallRoot};
pub use sync::sync_tree;
pub use with_install_root::with_install_root;
