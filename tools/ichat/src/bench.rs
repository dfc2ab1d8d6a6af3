//! How fast a server answers several chats at once.
use crate::no_answer::failure;
use ask::{Chat, Completion, Target};
use record::Bench;
use std::time::{Duration, Instant};
use tool::{Code, Failure};

/// What is asked where nobody says otherwise: it has a long answer, whatever the model.
pub(crate) const PROMPT: &str = "Write the numbers from one to one thousand as words, one after the other.";
/// Chats at once.
const LEVELS: [u32; 4] = [1, 2, 4, 8];

/// Measure each level, after one chat that is not counted: the first one warms an engine up.
pub(crate) fn measure(target: &Target, chat: &Chat<'_>) -> Result<Vec<Bench>, Failure> {
    level(target, chat, 1)?;
    LEVELS.into_iter().map(|concurrency| level(target, chat, concurrency)).collect()
}

/// So many chats at once, all of which have to be answered.
fn level(target: &Target, chat: &Chat<'_>, concurrency: u32) -> Result<Bench, Failure> {
    let what = || format!("{concurrency} chats at once were not all answered by {}", target.url());
    let begun = Instant::now();
    let turns: Vec<u32> = (0..concurrency).collect();
    let said = tool::thread::each("chat", &turns, |_| target.chat(chat, &mut |_| {}));
    let duration = begun.elapsed();
    let mut answers = Vec::new();
    for said in said {
        answers.push(said?.map_err(|error| failure(what(), &error))?);
    }
    let mut firsts = Vec::new();
    for answer in &answers {
        let silent = || Failure::new(Code::No, what(), "the model ended without a word");
        firsts.push(answer.first.ok_or_else(silent)?);
    }
    firsts.sort_unstable();
    let completion_tokens = sum(&answers, |said| said.completion_tokens);
    log::info!("{concurrency} at once: {:.1} s", duration.as_secs_f64());
    Ok(Bench {
        engine: None,
        instance: None,
        model: chat.model.to_owned(),
        concurrency,
        prompt_tokens: sum(&answers, |said| said.prompt_tokens),
        completion_tokens,
        duration_ms: milliseconds(duration),
        ttft_median_ms: milliseconds(firsts[firsts.len() / 2]),
        ttft_max_ms: milliseconds(firsts[firsts.len() - 1]),
        tokens_per_second: completion_tokens.and_then(|tokens| rate(tokens, duration)),
    })
}

/// To the microsecond.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Of all, where each was counted.
fn sum(answers: &[Completion], of: fn(&Completion) -> Option<u64>) -> Option<u64> {
    answers.iter().map(of).sum()
}

/// A second, to hundredths.
fn rate(tokens: u64, time: Duration) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "no answers have 2^53 tokens")]
    let rate = tokens as f64 / time.as_secs_f64();
    rate.is_finite().then_some((rate * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_by_the_second() {
        assert_eq!(rate(100, Duration::from_millis(1500)), Some(66.67));
        assert_eq!(rate(100, Duration::ZERO), None);
    }
}
