//! The arguments of a tool call: JSON text that comes in pieces, and not always as it should.
use serde_json::{Value, json};
use std::borrow::Cow;

/// Where the JSON text of a call stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing but white space.
    #[default]
    Empty,
    /// Within an object, so many brackets deep.
    Open { depth: u32, string: bool, escaped: bool },
    /// The object has ended.
    Complete,
    /// No object: a quoted one, null, a list, anything.
    NotAnObject,
}

/// Finds the end of an object that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ObjectScanner(State);

impl ObjectScanner {
    /// Take a piece; returns how many of its bytes belong to the object. What follows its end does not: some servers send
    /// the whole again when it is complete.
    pub(super) fn take(&mut self, piece: &str) -> usize {
        for (at, byte) in piece.bytes().enumerate() {
            self.0 = match self.0 {
                State::Complete => return at,
                State::NotAnObject => return piece.len(),
                State::Empty if byte.is_ascii_whitespace() => State::Empty,
                State::Empty if byte == b'{' => State::Open { depth: 1, string: false, escaped: false },
                State::Empty => State::NotAnObject,
                State::Open { depth, string, escaped } => inside_object(byte, depth, string, escaped),
            };
        }
        piece.len()
    }

    /// The whole object has come.
    pub(super) fn is_complete(self) -> bool {
        self.0 == State::Complete
    }

    /// It is no object, so its pieces are held back and made one at the end.
    pub(super) fn is_not_an_object(self) -> bool {
        self.0 == State::NotAnObject
    }

    /// Nothing has come.
    pub(super) fn is_empty(self) -> bool {
        self.0 == State::Empty
    }
}

fn inside_object(byte: u8, depth: u32, string: bool, escaped: bool) -> State {
    match byte {
        _ if escaped => State::Open { depth, string, escaped: false },
        b'\\' if string => State::Open { depth, string, escaped: true },
        b'"' => State::Open { depth, string: !string, escaped: false },
        b'{' | b'[' if !string => State::Open { depth: depth.saturating_add(1), string, escaped },
        b'}' | b']' if !string && depth == 1 => State::Complete,
        b'}' | b']' if !string => State::Open { depth: depth - 1, string, escaped },
        _ => State::Open { depth, string, escaped },
    }
}

/// The text of an `arguments` field, which some servers send as the object itself.
pub(super) fn text(arguments: Option<&Value>) -> Cow<'_, str> {
    match arguments {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(other) => Cow::Owned(other.to_string()),
    }
}

/// The input of a tool call, which is always an object. Text that is none is given to the tool under the name
/// `invalid_arguments`, so that the model is told about it and nothing is lost.
pub(super) fn input(text: &str) -> Value {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return json!({});
    }
    match serde_json::from_str(trimmed) {
        Ok(object @ Value::Object(_)) => object,
        Ok(Value::Null) => json!({}),
        // Encoded twice.
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(object @ Value::Object(_)) => object,
            _ => json!({"invalid_arguments": text}),
        },
        // The whole, and then the whole again.
        Err(_) => match serde_json::Deserializer::from_str(trimmed).into_iter().next() {
            Some(Ok(object @ Value::Object(_))) => object,
            _ => json!({"invalid_arguments": text}),
        },
        Ok(_) => json!({"invalid_arguments": text}),
    }
}
