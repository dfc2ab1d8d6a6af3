//! One chat completion, streamed.
use crate::events::{Events, Limits};
use crate::target::{Timeouts, read_success};
use crate::{Error, Target};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::BufReader;
use std::time::{Duration, Instant};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Chat<'a> {
    /// The model's id.
    pub model: &'a str,
    /// The user's message.
    pub prompt: &'a str,
    /// How long the answer may get.
    pub max_tokens: u32,
    /// The longest silence that is borne, before the first byte and between two.
    pub silence: Duration,
    /// The longest that the whole of it may take.
    pub total: Duration,
}

impl Chat<'_> {
    /// No token is longer than this, on the average of an answer.
    const TOKEN_BYTES: u64 = 256;
    /// What an engine sends for a token, with all that stands around it.
    const EVENT_BYTES: u64 = 16 << 10;
    /// What it may send beside that, pings for one.
    const OVERHEAD_BYTES: u64 = 16 << 20;
    /// However many tokens are asked for, an answer above this is none for a person or a record.
    const ANSWER_BYTES: u64 = 64 << 20;

    /// More text than the tokens that were asked for can be.
    fn answer_bytes(&self) -> usize {
        let bytes = (1 << 20) + u64::from(self.max_tokens) * Self::TOKEN_BYTES;
        usize::try_from(bytes.min(Self::ANSWER_BYTES)).unwrap_or(usize::MAX)
    }

    /// A longer stream than the tokens that were asked for can make.
    fn stream_bytes(&self) -> u64 {
        Self::OVERHEAD_BYTES + u64::from(self.max_tokens) * Self::EVENT_BYTES
    }
}

/// A piece of an answer as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Of the answer.
    Content(&'a str),
    /// Of the thinking before it.
    Reasoning(&'a str),
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The answer.
    pub content: String,
    /// The thinking before it; empty for most models.
    pub reasoning: String,
    /// Tokens read, where the engine counts.
    pub prompt_tokens: Option<u64>,
    /// Tokens written, where the engine counts.
    pub completion_tokens: Option<u64>,
    /// Why it ended: `stop`, `length`, …
    pub finish: Option<String>,
    /// From the request to the first piece.
    pub first: Option<Duration>,
    /// From the request to the last piece.
    pub last: Option<Duration>,
    /// The data of the response's events as they came, one to a line; at most [`Completion::RAW_BYTES`], whole events.
    pub raw: String,
}

impl Completion {
    /// What is kept of a response as it came.
    pub const RAW_BYTES: usize = 256 << 10;

    /// Tokens a second after the first one; `None` for fewer than two, or where the engine does not count. Pieces that came
    /// too close together to be timed are measured over the whole request.
    #[must_use]
    pub fn tokens_per_second(&self) -> Option<f64> {
        let (tokens, first, last) = (self.completion_tokens?, self.first?, self.last?);
        let (tokens, time) = match last.checked_sub(first)? {
            time if time >= Duration::from_millis(1) => (tokens.checked_sub(1)?, time),
            _ => (tokens, last),
        };
        #[expect(clippy::cast_precision_loss, reason = "no answer has 2^53 tokens")]
        let rate = tokens as f64 / time.as_secs_f64();
        (self.completion_tokens > Some(1) && rate.is_finite()).then_some(rate)
    }
}

/// One event of the stream.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

/// vLLM calls it `reasoning`, llama.cpp and SGLang `reasoning_content`.
#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default, alias = "reasoning")]
    reasoning_content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

impl Target {
    /// One chat completion; `on_piece` gets each piece as it comes.
    ///
    /// # Errors
    /// Anything but a 200 with a stream that ends as streams should: a cut one is an error, not a short answer, and so is one
    /// that goes on for longer than `total` or beyond what `max_tokens` can come to.
    pub fn chat(&self, chat: &Chat<'_>, on_piece: &mut dyn FnMut(Piece<'_>)) -> Result<Completion, Error> {
        let body = json!({
            "model": chat.model,
            "messages": [{"role": "user", "content": chat.prompt}],
            "max_tokens": chat.max_tokens,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        let start = Instant::now();
        let timeouts = Timeouts { silence: chat.silence, total: chat.total };
        let response = self.post("/v1/chat/completions", &body, timeouts)?;
        if response.status().as_u16() != 200 {
            return Err(read_success(response).err().unwrap_or(Error::TimedOut));
        }
        let limits = Limits { bytes: chat.stream_bytes(), until: start + chat.total };
        let mut events = Events::new(BufReader::new(response.into_body().into_reader()), limits);
        let mut said = Completion::default();
        while let Some(data) = events.next()? {
            said.keep(&data);
            if data == "[DONE]" {
                return said.check_complete();
            }
            said.take(&data, start, on_piece)?;
            if said.content.len() + said.reasoning.len() > chat.answer_bytes() {
                return Err(Error::Malformed(format!("it goes on after {} tokens", chat.max_tokens)));
            }
        }
        if said.finish.is_some() {
            said.check_complete()
        } else {
            Err(Error::Unreachable("the stream was cut".to_owned()))
        }
    }
}

impl Completion {
    /// A server that is being stopped ends its answer in good form; only the finish reason shows it.
    fn check_complete(self) -> Result<Self, Error> {
        match self.finish.as_deref() {
            Some(reason @ ("abort" | "error")) => {
                Err(Error::Unreachable(format!("the server broke off, its finish_reason is {reason}")))
            }
            _ => Ok(self),
        }
    }

    fn keep(&mut self, data: &str) {
        if self.raw.len() + data.len() < Self::RAW_BYTES {
            self.raw.push_str(data);
            self.raw.push('\n');
        }
    }

    fn take(&mut self, data: &str, start: Instant, on_piece: &mut dyn FnMut(Piece<'_>)) -> Result<(), Error> {
        let chunk: Chunk = serde_json::from_str(data).map_err(crate::target::malformed)?;
        if chunk.error.is_some() {
            return Err(Error::status(status_code(chunk.error.as_ref()), data.as_bytes()));
        }
        if let Some(usage) = chunk.usage {
            self.prompt_tokens = usage.prompt_tokens.or(self.prompt_tokens);
            self.completion_tokens = usage.completion_tokens.or(self.completion_tokens);
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        let reasoning = choice.delta.reasoning_content.unwrap_or_default();
        let content = choice.delta.content.unwrap_or_default();
        for (text, whole, piece) in [
            (&reasoning, &mut self.reasoning, Piece::Reasoning(&reasoning)),
            (&content, &mut self.content, Piece::Content(&content)),
        ] {
            if !text.is_empty() {
                let now = start.elapsed();
                self.first.get_or_insert(now);
                self.last = Some(now);
                whole.push_str(text);
                on_piece(piece);
            }
        }
        self.finish = choice.finish_reason.or(self.finish.take());
        Ok(())
    }
}

/// An error in mid-stream comes after a 200, with its code in the body if anywhere.
fn status_code(error: Option<&Value>) -> u16 {
    let code = error.and_then(|error| error.get("code")).and_then(Value::as_u64);
    code.and_then(|code| u16::try_from(code).ok()).unwrap_or(500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&str]) -> Result<Completion, Error> {
        let (start, mut said) = (Instant::now(), Completion::default());
        for chunk in chunks {
            said.take(chunk, start, &mut |_| {})?;
        }
        Ok(said)
    }

    #[test]
    fn pieces_thinking_usage_and_the_end_are_gathered() {
        let said = read(&[
            r#"{"choices":[{"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#,
            r#"{"choices":[{"delta":{"content":"Hello"}}]}"#,
            r#"{"choices":[{"delta":{"content":" world"}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#,
        ])
        .unwrap();
        assert_eq!((said.content.as_str(), said.reasoning.as_str()), ("Hello world", "hm"));
        assert_eq!((said.prompt_tokens, said.completion_tokens), (Some(5), Some(3)));
        assert_eq!(said.finish.as_deref(), Some("stop"));
        assert!(said.first.unwrap() <= said.last.unwrap());
    }

    #[test]
    fn an_error_in_mid_stream_is_an_error() {
        let error = read(&[r#"{"error":{"message":"out of memory","code":500}}"#]).unwrap_err();
        assert_eq!(error, Error::Status { code: 500, message: "out of memory".to_owned() });
    }

    #[test]
    fn one_token_has_no_rate() {
        let second = Some(Duration::from_secs(1));
        let said = |tokens| Completion {
            completion_tokens: Some(tokens),
            first: second,
            last: Some(Duration::from_secs(3)),
            ..Completion::default()
        };
        assert_eq!(said(1).tokens_per_second(), None);
        assert_eq!(said(5).tokens_per_second(), Some(2.0));
        let at_once = Completion { last: second, ..said(5) };
        assert_eq!(at_once.tokens_per_second(), Some(5.0));
    }
}
