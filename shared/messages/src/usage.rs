//! How many tokens a request took, read from either API's bodies and events.
use serde_json::Value;

/// Token counts, each absent where the engine does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the whole prompt, those from the cache among them.
    pub prompt: Option<u64>,
    /// Tokens of the prompt that were in the engine's prefix cache.
    pub cached: Option<u64>,
    /// Tokens written.
    pub completion: Option<u64>,
}

impl Usage {
    /// The counts of a body or event of chat completions, completions, responses or messages.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let mut usage = Self::default();
        usage.take(value);
        usage
    }

    /// Take over what a body or event says. Later counts replace earlier ones: both APIs send running totals.
    pub fn take(&mut self, value: &Value) {
        for place in ["/message/usage", "/response/usage", "/usage"] {
            if let Some(counts) = value.pointer(place).filter(|counts| counts.is_object()) {
                self.take_counts(counts);
            }
        }
        // llama.cpp counts here in every last event, also where no usage was asked for.
        if let Some(timings) = value.get("timings").filter(|timings| timings.is_object()) {
            let (read, cached) = (number(timings, "/prompt_n"), number(timings, "/cache_n"));
            self.prompt = self.prompt.or(read.map(|read| read.saturating_add(cached.unwrap_or(0))));
            self.cached = self.cached.or(cached);
            self.completion = self.completion.or(number(timings, "/predicted_n"));
        }
    }

    fn take_counts(&mut self, counts: &Value) {
        let written = ["/completion_tokens", "/output_tokens"];
        self.completion = written.iter().find_map(|place| number(counts, place)).or(self.completion);
        let cached = ["/prompt_tokens_details/cached_tokens", "/input_tokens_details/cached_tokens"];
        if let Some(prompt) = number(counts, "/prompt_tokens") {
            self.prompt = Some(prompt);
        } else if let Some(input) = number(counts, "/input_tokens") {
            // Anthropic's input_tokens are without those that were read from the cache or written to it.
            let read = number(counts, "/cache_read_input_tokens");
            let made = number(counts, "/cache_creation_input_tokens");
            let whole = input.saturating_add(read.unwrap_or(0)).saturating_add(made.unwrap_or(0));
            // The running total of a stream's end may leave the input out as 0.
            if whole > 0 || self.prompt.is_none() {
                self.prompt = Some(whole);
                self.cached = read.or(self.cached);
            }
        }
        self.cached = cached.iter().find_map(|place| number(counts, place)).or(self.cached);
    }
}

fn number(value: &Value, place: &str) -> Option<u64> {
    value.pointer(place).and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usage(prompt: u64, cached: Option<u64>, completion: u64) -> Usage {
        Usage { prompt: Some(prompt), cached, completion: Some(completion) }
    }

    #[test]
    fn every_apis_counts_are_read() {
        let details = json!({"cached_tokens": 7});
        let chat =
            json!({"usage": {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": details}});
        assert_eq!(Usage::of(&chat), usage(10, Some(7), 3));
        let bare =
            json!({"usage": {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": null}});
        assert_eq!(Usage::of(&bare), usage(10, None, 3));
        let responses = json!({"type": "response.completed", "response": {"usage": {
            "input_tokens": 10, "output_tokens": 3, "input_tokens_details": details}}});
        assert_eq!(Usage::of(&responses), usage(10, Some(7), 3));
        let messages =
            json!({"usage": {"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 3}});
        assert_eq!(Usage::of(&messages), usage(10, Some(7), 3));
        let timings = json!({"timings": {"prompt_n": 3, "cache_n": 7, "predicted_n": 3}});
        assert_eq!(Usage::of(&timings), usage(10, Some(7), 3));
        assert_eq!(Usage::of(&json!({"usage": {"prompt_tokens": "10"}})), Usage::default());
        assert_eq!(Usage::of(&json!([1])), Usage::default());
    }

    #[test]
    fn a_stream_of_messages_is_summed_up() {
        let mut found = Usage::default();
        found.take(&json!({"type": "message_start", "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 4,
            "output_tokens": 1}}}));
        assert_eq!(found, usage(9, Some(4), 1));
        found.take(&json!({"type": "message_delta", "usage": {"output_tokens": 12}}));
        assert_eq!(found, usage(9, Some(4), 12));
        found.take(&json!({"type": "message_delta", "usage": {"input_tokens": 0, "output_tokens": 13}}));
        assert_eq!(found, usage(9, Some(4), 13));
    }
}
