//! Messages for an engine that has only chat completions: the request there, the answer and the stream back.
mod answer;
mod arguments;
mod content;
mod conversation;
mod queue;
mod request;
mod settings;
mod stream;
mod tools;
mod write;

pub use answer::{response, response_to};
pub use request::request;
pub use stream::Stream;
