//! The turns of a conversation as the messages of a chat completion.
use super::content::{self, Piece};
use crate::{Refusal, system};
use serde_json::{Map, Value, json};

/// The messages of a chat completion: the system prompt first, then the turns.
pub(super) fn messages(fields: &Map<String, Value>) -> Result<Vec<Value>, Refusal> {
    let turns = fields.get("messages").and_then(Value::as_array);
    let turns = turns.ok_or_else(|| Refusal::field("messages", "not a list"))?;
    if turns.is_empty() {
        return Err(Refusal::field("messages", "at least one message is required"));
    }
    let mut conversation = Conversation::default();
    conversation.begin(fields.get("system"))?;
    for (at, message) in turns.iter().enumerate() {
        conversation.take(&format!("messages.{at}"), message)?;
    }
    conversation.end_turn();
    Ok(conversation.messages)
}

/// The turn that has not ended: the next message of its role belongs to it, because templates want the roles to alternate.
#[derive(Debug, Default)]
enum Turn {
    #[default]
    None,
    User(Vec<Piece>),
    Assistant(AssistantTurn),
}

/// What an assistant turn holds.
#[derive(Debug, Default)]
struct AssistantTurn {
    pieces: Vec<Piece>,
    thinking: Vec<Piece>,
    calls: Vec<Value>,
}

#[derive(Debug, Default)]
struct Conversation {
    messages: Vec<Value>,
    turn: Turn,
}

impl Conversation {
    fn begin(&mut self, system: Option<&Value>) -> Result<(), Refusal> {
        let Some(system) = system else { return Ok(()) };
        let mut pieces = content::pieces("system", system)?;
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if system::is_billing(text)));
        if !pieces.is_empty() {
            self.messages.push(json!({"role": "system", "content": content::joined(&pieces)}));
        }
        Ok(())
    }

    fn take(&mut self, path: &str, message: &Value) -> Result<(), Refusal> {
        let content = message.get("content").unwrap_or(&Value::Null);
        let path_of_content = format!("{path}.content");
        match message.get("role").and_then(Value::as_str) {
            Some("user") => self.take_user(&path_of_content, content),
            Some("assistant") => self.take_assistant(&path_of_content, content),
            // Within the conversation it keeps its place, as part of the user's turn.
            Some("system") => {
                let notes = content::pieces(&path_of_content, content)?;
                let notes = notes.into_iter().map(|note| match note {
                    Piece::Text(text) => Piece::Text(system::as_reminder(&text)),
                    image @ Piece::Image(_) => image,
                });
                self.user().extend(notes);
                Ok(())
            }
            _ => Err(Refusal::field(format!("{path}.role"), "not user, assistant or system")),
        }
    }

    /// Tool results become messages of their own, at once: they have to follow the calls. What else the turn says, and the
    /// images of its results, which no tool message holds everywhere, come after all of them.
    fn take_user(&mut self, path: &str, content: &Value) -> Result<(), Refusal> {
        let Value::Array(blocks) = content else {
            let pieces = content::pieces(path, content)?;
            self.user().extend(pieces);
            return Ok(());
        };
        let mut own = Vec::new();
        for (at, block) in blocks.iter().enumerate() {
            let path = format!("{path}.{at}");
            if content::kind(&path, block)? == "tool_result" {
                let images = self.take_result(&path, block)?;
                self.user().extend(images);
            } else {
                own.extend(content::piece(&path, block)?);
            }
        }
        own.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        self.user().extend(own);
        Ok(())
    }

    /// Write a tool message; returns the images of the result.
    fn take_result(&mut self, path: &str, block: &Value) -> Result<Vec<Piece>, Refusal> {
        let id = content::text(path, block, "tool_use_id")?;
        let content = block.get("content").unwrap_or(&Value::Null);
        let (images, texts): (Vec<_>, Vec<_>) = content::pieces(&format!("{path}.content"), content)?
            .into_iter()
            .partition(|piece| matches!(piece, Piece::Image(_)));
        let mut text = content::joined(&texts);
        if text.is_empty() && !images.is_empty() {
            "[the result is an image, which follows]".clone_into(&mut text);
        }
        // Chat completions have no field for it.
        if block.get("is_error") == Some(&Value::Bool(true)) {
            text = format!("Error: {text}");
        }
        if matches!(self.turn, Turn::Assistant(_)) {
            self.end_turn();
        }
        self.messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
        if images.is_empty() {
            return Ok(images);
        }
        let label = Piece::Text(format!("[image of the result of tool call {id}]"));
        Ok(std::iter::once(label).chain(images).collect())
    }

    fn take_assistant(&mut self, path: &str, content: &Value) -> Result<(), Refusal> {
        let error_text = self.assistant();
        let Value::Array(blocks) = content else {
            error_text.pieces.extend(content::pieces(path, content)?);
            return Ok(());
        };
        for (at, block) in blocks.iter().enumerate() {
            let path = format!("{path}.{at}");
            match content::kind(&path, block)? {
                "thinking" => {
                    error_text
                        .thinking
                        .push(Piece::Text(content::text(&path, block, "thinking")?.to_owned()));
                }
                // Only Anthropic's service can read it.
                "redacted_thinking" => {}
                "tool_use" => error_text.calls.push(call(&path, block)?),
                _ => error_text.pieces.extend(content::piece(&path, block)?),
            }
        }
        Ok(())
    }

    fn user(&mut self) -> &mut Vec<Piece> {
        if !matches!(self.turn, Turn::User(_)) {
            self.end_turn();
            self.turn = Turn::User(Vec::new());
        }
        match &mut self.turn {
            Turn::User(pieces) => pieces,
            _ => unreachable!("it was made a user's turn"),
        }
    }

    fn assistant(&mut self) -> &mut AssistantTurn {
        if !matches!(self.turn, Turn::Assistant(_)) {
            self.end_turn();
            self.turn = Turn::Assistant(AssistantTurn::default());
        }
        match &mut self.turn {
            Turn::Assistant(error_text) => error_text,
            _ => unreachable!("it was made the assistant's turn"),
        }
    }

    fn end_turn(&mut self) {
        match std::mem::take(&mut self.turn) {
            Turn::None => {}
            Turn::User(pieces) => {
                // Tool results are all that many turns hold.
                let answered = self.messages.last().is_some_and(|last| last["role"] == "tool");
                if !(pieces.is_empty() && answered) {
                    self.messages.push(json!({"role": "user", "content": content::chat_content(pieces)}));
                }
            }
            Turn::Assistant(error_text) => self.messages.push(error_text.message()),
        }
    }
}

impl AssistantTurn {
    fn message(mut self) -> Value {
        self.pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        // Some templates recognise a turn that has only calls by this null.
        let silent = self.pieces.is_empty() && !self.calls.is_empty();
        let content = if silent { Value::Null } else { json!(content::joined(&self.pieces)) };
        message.insert("content".to_owned(), content);
        let thinking = content::joined(&self.thinking);
        if !thinking.is_empty() {
            message.insert("reasoning_content".to_owned(), json!(thinking));
        }
        if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), Value::Array(self.calls));
        }
        Value::Object(message)
    }
}

fn call(path: &str, block: &Value) -> Result<Value, Refusal> {
    let (id, name) = (content::text(path, block, "id")?, content::text(path, block, "name")?);
    let input = match block.get("input") {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(input @ Value::Object(_)) => input.to_string(),
        Some(_) => return Err(Refusal::field(format!("{path}.input"), "not an object")),
    };
    Ok(json!({"id": id, "type": "function", "function": {"name": name, "arguments": input}}))
}
