//! How an engine is asked over HTTP: its health, its models, one token, one streamed chat.
//!
//! Owns the requests, the reading of answers and of error bodies, the rule that no proxy is ever used, which certificate is believed, and that every question
//! ends in time and takes no more memory than was asked for, whatever the server sends. Knows nothing of instances, of how often
//! to ask, or of what an answer means for readiness.
mod address;
mod authority;
mod chat;
mod error;
mod events;
mod key;
mod known_answers;
mod resolver;
mod router;
mod target;
mod tls;

pub use chat::{Chat, Completion, Piece};
pub use error::Error;
pub use key::{read_key, read_key_as};
pub use known_answers::{KnownAnswers, PROMPTS};
pub use router::RouterModel;
pub use target::{LITELLM_HEALTH, Target};
