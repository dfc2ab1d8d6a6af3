//! The time that an engine writes before a line of its log.

const DAY_S: u64 = 86_400;
/// Time zones differ from UTC by multiples of this.
const ZONE_STEP_S: u64 = 900;

/// Computes the seconds since a start. Engines write the time of day in the machine's zone, which they do not name: the first
/// stamp is taken to be of the first 15 minutes, and the zone follows from it.
pub(crate) struct Clock {
    start_unix: u64,
    /// Seconds of the day at the first stamp, and how long after the start that was.
    first: Option<(u64, u64)>,
}

impl Clock {
    pub(crate) fn new(start_unix: u64) -> Self {
        Self { start_unix, first: None }
    }

    /// Seconds from the start at which this line was written; `None` where it does not begin with a time.
    pub(crate) fn read(&mut self, line: &str) -> Option<f64> {
        if let Some(elapsed) = since_start(line) {
            return Some(elapsed);
        }
        let day_s = time_of_day(line)?;
        let start = self.start_unix;
        let (first, after) = *self.first.get_or_insert_with(|| {
            // Written by another clock reading than the start: one second less would be a quarter of an hour.
            let after = (day_s + DAY_S + 1 - start % ZONE_STEP_S) % ZONE_STEP_S;
            (day_s, after.saturating_sub(1))
        });
        let seconds = after + (day_s + DAY_S - first) % DAY_S;
        u32::try_from(seconds).ok().map(f64::from)
    }
}

/// llama.cpp's minutes, seconds, milliseconds and microseconds since it was started: `0.00.155.185 I srv …`.
fn since_start(line: &str) -> Option<f64> {
    let parts: Vec<u32> = line
        .split_once(' ')?
        .0
        .split('.')
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten())
        .collect::<Option<_>>()?;
    let [minutes, seconds, milliseconds, microseconds] = parts[..] else { return None };
    let whole = f64::from(minutes) * 60.0 + f64::from(seconds);
    Some(whole + f64::from(milliseconds) / 1e3 + f64::from(microseconds) / 1e6)
}

/// The time of day that stands among the first words, in seconds: vLLM's `(Worker pid=1) INFO 11-29 02:44:34 …`, SGLang's
/// `[2026-11-29 03:24:00 TP0] …`.
fn time_of_day(line: &str) -> Option<u64> {
    line.split_whitespace().take(6).find_map(|word| {
        let parts: Vec<u64> =
            word.trim_end_matches([']', ',']).split(':').map(two_digits).collect::<Option<_>>()?;
        let [hour, minute, second] = parts[..] else { return None };
        (hour < 24 && minute < 60 && second < 61).then_some(hour * 3600 + minute * 60 + second)
    })
}

fn two_digits(text: &str) -> Option<u64> {
    (text.len() == 2).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29T10:00:00Z.
    const START: u64 = 1_795_946_400;

    #[test]
    fn engines_stamp_their_lines_each_in_its_own_way() {
        let read = |line| Clock::new(START).read(line);
        assert_eq!(read("0.00.155.185 I srv          init: listening"), Some(0.155_185));
        assert_eq!(read("1.02.000.000 I srv"), Some(62.0));
        assert_eq!(
            read("(Worker pid=23324) INFO 11-29 10:00:34 [default_loader.py:501] Loading"),
            Some(34.0)
        );
        assert_eq!(read("[2026-11-29 10:00:07 TP0] Load weight begin."), Some(7.0));
        for none in ["", "loading", "1.2.3 x", "10:00 x", "a b c d e f g 10:00:00", "99:00:00 x"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn a_time_zone_and_midnight_do_not_matter() {
        // India, 5 h 30 min before UTC.
        let mut clock = Clock::new(START + 8 * 3600 + 1740);
        assert_eq!(clock.read("[2026-11-29 23:59:30] a"), Some(30.0));
        assert_eq!(clock.read("[2026-11-30 00:00:30] b"), Some(90.0));
    }

    #[test]
    fn a_stamp_of_the_second_before_the_start_is_of_the_start() {
        assert_eq!(Clock::new(START + 1).read("[2026-11-29 10:00:00] a"), Some(0.0));
    }
}
