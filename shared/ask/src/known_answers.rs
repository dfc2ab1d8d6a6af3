//! Answers that are known: what a model said where it was whole, to be compared with what it says here.
//!
//! At temperature 0 the same weights, template and kernels give the same tokens. Damaged tensors, another template or broken
//! kernels give others, and pass all other checks. On other hardware two tokens that are nearly as likely may change places, and
//! from there on the texts differ: so only the beginning has to agree, as much of it as the file says.
use crate::target::{Timeouts, read_success};
use crate::{Error, Target};
use owner::Owner;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::time::Duration;

/// More than any file has that we write.
const BYTES: usize = 4 << 20;
/// More characters of a text than a person compares.
const SHOWN: usize = 40;

/// What is asked where nobody says otherwise: words, a fact, code, and letters beyond ASCII.
pub const PROMPTS: [&str; 4] = [
    "Count from one to twenty in words.",
    "Name the planets of the solar system, from the sun outwards.",
    "Write a Python function that tells whether a number is prime.",
    "Wie heißen die Wochentage auf Deutsch und auf Französisch?",
];

/// Format 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAnswers {
    format: u32,
    /// How much of each text has to agree, from its beginning, in hundredths of its characters.
    agree_percent: u8,
    answers: Vec<Answer>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    prompt: String,
    max_tokens: u32,
    text: String,
}

impl KnownAnswers {
    /// Ask a model that is known to be whole.
    ///
    /// # Errors
    /// A question is not answered.
    pub fn record(
        (target, model): (&Target, &str),
        prompts: &[&str],
        (max_tokens, agree_percent): (u32, u8),
        limit: Duration,
    ) -> Result<Self, Error> {
        let answer = |prompt: &&str| {
            let text = target.greedy(model, (prompt, max_tokens), limit)?;
            Ok(Answer { prompt: (*prompt).to_owned(), max_tokens, text })
        };
        let answers: Result<Vec<Answer>, Error> = prompts.iter().map(answer).collect();
        Ok(Self { format: 1, agree_percent, answers: answers? })
    }

    /// Read a file that the operator named.
    ///
    /// # Errors
    /// What the system says, or that it is no such file.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::of_text(&owner::read_named(path, BYTES)?)
    }

    /// Read a file that an instance's plan names, with the rights of the instance's user, who can write the plan.
    ///
    /// # Errors
    /// As [`KnownAnswers::read`].
    pub fn read_as(user: &Owner, path: &Path) -> io::Result<Self> {
        Self::of_text(&owner::read_as(user, path, BYTES)?)
    }

    fn of_text(text: &[u8]) -> io::Result<Self> {
        let known: Self = serde_json::from_slice(text)?;
        match known.format {
            1 if !known.answers.is_empty() && known.agree_percent <= 100 => Ok(known),
            1 => Err(io::Error::other("it has no answers, or wants more than all of them to agree")),
            format => Err(io::Error::other(format!("it has format {format}; 1 is understood"))),
        }
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Ask the same, and say where the first answer differs; `None` where all agree.
    ///
    /// # Errors
    /// A question is not answered.
    pub fn compare(&self, target: &Target, model: &str, limit: Duration) -> Result<Option<String>, Error> {
        for Answer { prompt, max_tokens, text } in &self.answers {
            let said = target.greedy(model, (prompt, *max_tokens), limit)?;
            if let Some(where_it_differs) = difference(text, &said, self.agree_percent) {
                return Ok(Some(format!("to '{prompt}' {where_it_differs}")));
            }
        }
        Ok(None)
    }
}

/// Where a text differs from the one that is known, within the part that has to agree.
fn difference(known: &str, said: &str, percent: u8) -> Option<String> {
    let total = known.chars().count();
    let wanted = (total * usize::from(percent)).div_ceil(100);
    let agreed = known.chars().zip(said.chars()).take_while(|(one, other)| one == other).count();
    // An answer that goes on where the known one ended differs, where all has to agree.
    let longer = percent == 100 && said.chars().count() > total;
    if agreed >= wanted && !longer {
        return None;
    }
    let from = |text: &str| text.chars().skip(agreed).take(SHOWN).collect::<String>();
    Some(format!("it says '{}' from character {} on, and '{}' is known", from(said), agreed + 1, from(known)))
}

impl Target {
    /// The whole text of an answer without chance in it: what was thought, and what was said.
    fn greedy(
        &self,
        model: &str,
        (prompt, max_tokens): (&str, u32),
        limit: Duration,
    ) -> Result<String, Error> {
        let body = json!({
            "model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens,
            "temperature": 0, "top_k": 1, "seed": 0
        });
        let answer = read_success(self.post(
            "/v1/chat/completions",
            &body,
            Timeouts { silence: limit, total: limit },
        )?)?;
        let answer: Value = serde_json::from_slice(&answer).map_err(crate::target::malformed)?;
        let message = answer.pointer("/choices/0/message");
        let message = message.ok_or_else(|| Error::Malformed("no choices in it".to_owned()))?;
        let part = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(part("reasoning_content") + &part("reasoning") + &part("content"))
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn only_as_much_as_is_wanted_has_to_agree() {
        assert_eq!(difference("one two three", "one two three", 100), None);
        assert_eq!(difference("one two three", "one two four", 50), None);
        let told = difference("one two three", "one two four", 100).unwrap();
        assert_eq!(told, "it says 'four' from character 9 on, and 'three' is known");
        assert!(difference("one", "one two", 100).is_some() && difference("one", "one two", 90).is_none());
        assert!(difference("one", "", 1).is_some() && difference("", "", 100).is_none());
    }
}
