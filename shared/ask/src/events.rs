//! Server-sent events: the part of the format that engines use.
use std::io::{self, BufRead, Read};

/// The longest line that is accepted.
const LINE_LIMIT: u64 = 16 << 20;

/// The data of each event of a stream, in order.
#[derive(Debug)]
pub(crate) struct Events<R> {
    input: R,
}

impl<R: BufRead> Events<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input }
    }

    /// The data of the next event, its lines joined; `None` at the end. Comments (pings) and other fields are passed over.
    /// llama.cpp once sent its errors as a field named `error`: that counts as data.
    pub(crate) fn next(&mut self) -> io::Result<Option<String>> {
        let mut data: Option<String> = None;
        loop {
            let mut raw = Vec::new();
            (&mut self.input).take(LINE_LIMIT).read_until(b'\n', &mut raw)?;
            if raw.is_empty() {
                return Ok(data);
            }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &str) -> Vec<String> {
        let mut events = Events::new(input.as_bytes());
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
    fn an_event_that_the_end_cuts_off_is_still_seen() {
        assert_eq!(all("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
        assert_eq!(all("error: {\"code\":500}\n\n"), ["{\"code\":500}"]);
        assert!(all("").is_empty());
    }
}
