//! A strict reader of Anthropic streams: what the API's documentation promises, and clients rely on, is demanded.
use serde_json::{Map, Value, json};

/// A stream as it was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// One line an event, short enough to be compared by eye.
    pub(crate) transcript: String,
    /// The message as a client puts it together; absent where an error ended the stream.
    pub(crate) message: Option<Value>,
}

#[derive(Debug, Default)]
struct Reader {
    transcript: String,
    message: Option<Map<String, Value>>,
    blocks: Vec<Value>,
    /// The open block's kind and what it has got.
    open: Option<(String, String)>,
    signed: bool,
    stopped: bool,
    ended: bool,
    failed: bool,
}

/// Read a whole stream.
///
/// # Errors
/// What the stream does that it may not.
pub(crate) fn read(bytes: &[u8]) -> Result<Read, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut reader = Reader::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (event, after) = rest.split_once("\n\n").ok_or_else(|| format!("cut off at {rest:?}"))?;
        reader.event(event).map_err(|problem| format!("{problem}: {event}"))?;
        rest = after;
    }
    if !reader.ended {
        return Err(format!("no end: {text}"));
    }
    let message = reader.message.take().filter(|_| !reader.failed).map(|mut message| {
        message["content"] = Value::Array(reader.blocks);
        Value::Object(message)
    });
    Ok(Read { transcript: reader.transcript, message })
}

fn require(truth: bool, problem: &str) -> Result<(), String> {
    if truth { Ok(()) } else { Err(problem.to_owned()) }
}

/// The names of an object's fields, which have to be these and no others.
fn fields(value: &Value, names: &[&str]) -> Result<(), String> {
    let found: Vec<&str> = value.as_object().ok_or("not an object")?.keys().map(String::as_str).collect();
    require(found == names, &format!("fields {found:?}, not {names:?}"))
}

const COUNTS: [&str; 4] =
    ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"];

impl Reader {
    fn event(&mut self, event: &str) -> Result<(), String> {
        require(!self.ended, "an event after the end")?;
        let (name, data) = event.split_once('\n').ok_or("one line")?;
        let name = name.strip_prefix("event: ").ok_or("no name")?;
        let data = data.strip_prefix("data: ").ok_or("no data")?;
        require(!data.contains(['\n', '\r']), "a second line of data")?;
        let data: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        require(data["type"] == name, "the name is not the type")?;
        if name != "error" && name != "message_start" {
            require(self.message.is_some(), "before message_start")?;
        }
        require(!self.stopped || name == "message_stop", "after message_delta")?;
        match name {
            "message_start" => self.message_start(&data),
            "content_block_start" => self.block_start(&data),
            "content_block_delta" => self.block_delta(&data),
            "content_block_stop" => self.block_stop(&data),
            "message_delta" => self.message_delta(&data),
            "message_stop" => {
                fields(&data, &["type"])?;
                require(self.stopped, "without message_delta")?;
                self.ended = true;
                self.say("message_stop");
                Ok(())
            }
            "ping" => {
                fields(&data, &["type"])?;
                self.say("ping");
                Ok(())
            }
            "error" => {
                fields(&data, &["type", "error"])?;
                fields(&data["error"], &["type", "message"])?;
                require(data["error"]["message"].is_string(), "no words")?;
                (self.ended, self.failed) = (true, true);
                self.say(&format!("error {} {}", data["error"]["type"], data["error"]["message"]));
                Ok(())
            }
            _ => Err("unknown".to_owned()),
        }
    }

    fn say(&mut self, line: &str) {
        self.transcript += line;
        self.transcript.push('\n');
    }

    fn message_start(&mut self, data: &Value) -> Result<(), String> {
        require(self.message.is_none(), "a second time")?;
        fields(data, &["type", "message"])?;
        let message = &data["message"];
        let names = ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"];
        fields(message, &names)?;
        let id = message["id"].as_str().unwrap_or_default();
        require(id.len() > 4 && id.starts_with("msg_"), "its id")?;
        require(message["type"] == "message" && message["role"] == "assistant", "its type or role")?;
        require(message["content"] == json!([]) && message["model"].is_string(), "its content or model")?;
        require(message["stop_reason"].is_null() && message["stop_sequence"].is_null(), "it has stopped")?;
        fields(&message["usage"], &COUNTS)?;
        self.say(&format!("message_start {}", message["model"].as_str().unwrap_or_default()));
        self.message = message.as_object().cloned();
        Ok(())
    }

    fn block_start(&mut self, data: &Value) -> Result<(), String> {
        fields(data, &["type", "index", "content_block"])?;
        require(self.open.is_none(), "another block is open")?;
        require(data["index"] == self.blocks.len(), "out of order")?;
        let block = &data["content_block"];
        let kind = block["type"].as_str().ok_or("no type")?;
        let said = match kind {
            "text" => {
                fields(block, &["type", "text"])?;
                require(block["text"] == "", "it begins with text")?;
                String::new()
            }
            "thinking" => {
                fields(block, &["type", "thinking", "signature"])?;
                require(block["thinking"] == "" && block["signature"] == "", "it begins with text")?;
                String::new()
            }
            "tool_use" => {
                fields(block, &["type", "id", "name", "input"])?;
                let id = block["id"].as_str().filter(|id| !id.is_empty()).ok_or("no id")?;
                require(block["input"] == json!({}), "it begins with input")?;
                require(self.blocks.iter().all(|other| other["id"] != id), "an id a second time")?;
                format!(" {} {id}", block["name"].as_str().filter(|name| !name.is_empty()).ok_or("no name")?)
            }
            _ => return Err("unknown block".to_owned()),
        };
        self.say(&format!("{} {kind}{said}", self.blocks.len()));
        self.open = Some((kind.to_owned(), String::new()));
        self.signed = false;
        self.blocks.push(block.clone());
        Ok(())
    }

    fn block_delta(&mut self, data: &Value) -> Result<(), String> {
        fields(data, &["type", "index", "delta"])?;
        let (kind, content) = self.open.as_mut().ok_or("no block is open")?;
        require(data["index"] == self.blocks.len() - 1, "for another block")?;
        require(!self.signed, "after the signature")?;
        let delta = &data["delta"];
        let name = delta["type"].as_str().ok_or("no type")?;
        let field = match (kind.as_str(), name) {
            ("text", "text_delta") => "text",
            ("thinking", "thinking_delta") => "thinking",
            ("thinking", "signature_delta") => "signature",
            ("tool_use", "input_json_delta") => "partial_json",
            _ => return Err(format!("{name} in a block of type {kind}")),
        };
        fields(delta, &["type", field])?;
        let text = delta[field].as_str().filter(|text| !text.is_empty()).ok_or("an empty delta")?;
        if name == "signature_delta" {
            self.signed = true;
            let block = self.blocks.last_mut().ok_or("no block")?;
            block["signature"] = json!(text);
        } else {
            content.push_str(text);
        }
        let mark = if self.signed { "signature" } else { "+" };
        self.say(&format!("{} {mark} {}", self.blocks.len() - 1, json!(text)));
        Ok(())
    }

    fn block_stop(&mut self, data: &Value) -> Result<(), String> {
        fields(data, &["type", "index"])?;
        let (kind, content) = self.open.take().ok_or("no block is open")?;
        require(data["index"] == self.blocks.len() - 1, "for another block")?;
        let block = self.blocks.last_mut().ok_or("no block")?;
        match kind.as_str() {
            "text" => {
                require(!content.trim().is_empty(), "a block without text")?;
                block["text"] = json!(content);
            }
            "thinking" => {
                require(self.signed, "thinking without a signature")?;
                block["thinking"] = json!(content);
            }
            // An answer cut at its length cuts its arguments too; that is looked at when it is known.
            _ if content.is_empty() => {}
            _ => block["input"] = serde_json::from_str(&content).unwrap_or(Value::Null),
        }
        self.say(&format!("{} end", self.blocks.len() - 1));
        Ok(())
    }

    fn message_delta(&mut self, data: &Value) -> Result<(), String> {
        require(self.open.is_none(), "a block is open")?;
        fields(data, &["type", "delta", "usage"])?;
        fields(&data["delta"], &["stop_reason", "stop_sequence"])?;
        fields(&data["usage"], &COUNTS)?;
        let (reason, sequence) = (&data["delta"]["stop_reason"], &data["delta"]["stop_sequence"]);
        let known = ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"];
        let name = reason.as_str().filter(|reason| known.contains(reason)).ok_or("unknown stop_reason")?;
        require(sequence.is_string() == (name == "stop_sequence"), "stop_sequence and stop_reason differ")?;
        let called = self.blocks.iter().any(|block| block["type"] == "tool_use");
        match name {
            "tool_use" => require(called, "tool_use without a tool")?,
            "max_tokens" | "refusal" => {}
            _ => require(!called, "a tool without tool_use")?,
        }
        if name != "max_tokens" {
            let whole = |block: &Value| block["type"] != "tool_use" || block["input"].is_object();
            require(self.blocks.iter().all(whole), "arguments that are no object")?;
        }
        let message = self.message.as_mut().ok_or("no message")?;
        message["stop_reason"] = reason.clone();
        message["stop_sequence"] = sequence.clone();
        message["usage"] = data["usage"].clone();
        let count =
            |name: &str| data["usage"][name].as_u64().map_or("?".to_owned(), |count| count.to_string());
        let line = format!(
            "message_delta {name}{} in {} cached {} out {}",
            sequence.as_str().map(|sequence| format!(" {}", json!(sequence))).unwrap_or_default(),
            count("input_tokens"),
            count("cache_read_input_tokens"),
            count("output_tokens")
        );
        self.say(&line);
        self.stopped = true;
        Ok(())
    }
}
