//! How an engine is asked over HTTP: its health, its models, one token, one streamed chat.
//!
//! Owns the requests, the reading of answers and of error bodies, the rule that no proxy is ever used, which certificate is believed, and that every question
//! ends in time and takes no more memory than was asked for, whatever the server sends. Knows nothing of instances, of how often
//! to ask, or of what an answer means for readiness.
mod address;
mod chat;
mod error;
mod events;
mod key;
mod known;
mod names;
mod router;
mod target;
mod tls;

pub use chat::{Chat, Piece, Said};
pub use error::Error;
pub use key::{key_as, key_in};
pub use known::{Known, PROMPTS};
pub use router::Routed;
pub use target::{LITELLM_HEALTH, Target};
