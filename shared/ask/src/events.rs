//! Server-sent events: the part of the format that engines use.
use crate::Error;
use std::io::{BufRead, Read};
use std::time::Instant;

/// The longest event that is accepted, and the longest line.
const EVENT_LIMIT: usize = 1 << 20;

/// Where a stream has to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) until: Instant,
}

/// The data of each event of a stream, in order.
#[derive(Debug)]
pub(crate) struct Events<R> {
    input: R,
    limits: Limits,
}

impl<R: BufRead> Events<R> {
    pub(crate) fn new(input: R, limits: Limits) -> Self {
        Self { input, limits }
    }

    /// The data of the next event, its lines joined; `None` at the end. Comments (pings) and other fields are passed over.
    /// llama.cpp once sent its errors as a field named `error`: that counts as data.
    ///
    /// # Errors
    /// The connection broke, an event or the whole stream is too long, or time is up.
    pub(crate) fn next(&mut self) -> Result<Option<String>, Error> {
        let mut data: Option<String> = None;
        loop {
            let mut raw = Vec::new();
            (&mut self.input).take(EVENT_LIMIT as u64 + 1).read_until(b'\n', &mut raw)?;
            if raw.is_empty() {
                return Ok(data);
            }
            self.admit(&raw, data.as_ref())?;
            let line = String::from_utf8_lossy(&raw);
            let line = line.trim_end_matches(['\n', '\r']).trim_start_matches('\u{feff}');
            if line.is_empty() {
                if data.is_some() {
                    return Ok(data);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            if matches!(field, "data" | "error") {
                let value = value.strip_prefix(' ').unwrap_or(value);
                match &mut data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => data = Some(value.to_owned()),
                }
            }
        }
    }

    /// Where a server never stops, we do.
    fn admit(&mut self, line: &[u8], event: Option<&String>) -> Result<(), Error> {
        if line.len() + event.map_or(0, String::len) > EVENT_LIMIT {
            return Err(Error::Malformed(format!("one of its events is longer than {EVENT_LIMIT} bytes")));
        }
        if Instant::now() >= self.limits.until {
            return Err(Error::TimedOut);
        }
        let left = self.limits.bytes.checked_sub(line.len() as u64);
        self.limits.bytes = left.ok_or_else(|| Error::Malformed("its stream has no end".to_owned()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(60);

    fn events(input: &[u8], bytes: u64, limit: Duration) -> Events<&[u8]> {
        Events::new(input, Limits { bytes, until: Instant::now() + limit })
    }

    fn all(input: &str) -> Vec<String> {
        let mut events = events(input.as_bytes(), 1 << 20, LONG);
        std::iter::from_fn(|| events.next().unwrap()).collect()
    }

    #[test]
    fn events_are_parted_by_blank_lines_with_either_line_end() {
        assert_eq!(all("data: a\n\ndata: b\r\n\r\ndata:c\n\n"), ["a", "b", "c"]);
    }

    #[test]
    fn comments_ids_and_event_names_are_passed_over() {
        assert_eq!(all(": ping\n\nevent: message\nid: 7\nretry: 10\ndata: a\n\n:\n\n"), ["a"]);
    }

    #[test]
    fn data_lines_of_one_event_are_joined_and_only_one_space_is_cut() {
        assert_eq!(all("data: a\ndata:  b\ndata\n\n"), ["a\n b\n"]);
    }

    #[test]
    fn a_line_an_event_a_stream_or_a_time_without_end_is_an_error() {
        let malformed = |input: &[u8], bytes| {
            let mut events = events(input, bytes, LONG);
            loop {
                match events.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => return Some(error.to_string()),
                }
            }
        };
        let says = |found: Option<String>, text| {
            assert!(found.as_ref().is_some_and(|e| e.contains(text)), "{found:?}");
        };
        says(malformed(&vec![b'x'; EVENT_LIMIT + 1], u64::MAX), "longer than");
        says(malformed(&b"data: x\n".repeat(EVENT_LIMIT / 2 + 1), u64::MAX), "longer than");
        says(malformed(&b": ping\n".repeat(1000), 6999), "no end");
        assert_eq!(malformed(&b": ping\n".repeat(1000), 7000), None);
        assert_eq!(events(b"data: x\n\n", 100, Duration::ZERO).next().unwrap_err(), Error::TimedOut);
    }

    #[test]
    fn an_event_that_the_end_cuts_off_is_still_seen() {
        assert_eq!(all("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
        assert_eq!(all("error: {\"code\":500}\n\n"), ["{\"code\":500}"]);
        assert!(all("").is_empty());
    }
}
