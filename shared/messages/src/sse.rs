//! Server-sent events, split out of chunks of bytes (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

/// The longest event that is taken, bytes of all its lines. Engines send tool arguments whole, so it is generous.
pub const EVENT_LIMIT: usize = 16 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event:` field; empty where the stream has none, which means `message`.
    pub name: String,
    /// The `data:` lines, joined by line feeds. llama.cpp once sent its errors in a field named `error`: that counts as data
    /// of an event of that name.
    pub data: Vec<u8>,
}

/// An event longer than [`EVENT_LIMIT`]. Nothing more is taken from this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLong;

impl std::fmt::Display for EventTooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an event of the stream is longer than {EVENT_LIMIT} bytes")
    }
}

impl std::error::Error for EventTooLong {}

/// Splits a stream that comes in chunks cut anywhere. Lines end with CRLF, LF or CR; comments are passed over.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// The line that has not ended.
    line: Vec<u8>,
    event: Event,
    /// The event has a field that counts.
    has_field: bool,
    /// Bytes of the event's lines so far.
    taken: usize,
    /// The last byte was a CR: a LF after it ends no second line.
    after_cr: bool,
    /// No line has ended yet, so a byte order mark may stand before it.
    begun: bool,
    failed: bool,
}

impl Events {
    /// A stream of which nothing has come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take a chunk; `each` gets the events that it completes, in order.
    ///
    /// # Errors
    /// [`EventTooLong`], for this and every later chunk.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Event)) -> Result<(), EventTooLong> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', rest);
            self.check_limit(end.unwrap_or(rest.len()))?;
            self.line.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
            let Some(end) = end else { break };
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.end_line(&mut each);
        }
        Ok(())
    }

    /// The stream has ended: the event that no blank line has closed, if there is one.
    pub fn finish(&mut self) -> Option<Event> {
        let mut last = None;
        if !self.line.is_empty() {
            self.end_line(&mut |event| last = Some(event));
        }
        self.end_line(&mut |event| last = Some(event));
        last.filter(|_| !self.failed)
    }

    /// Every byte so far belongs to an event that has ended, so that another one may be put here.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.line.is_empty() && self.taken == 0
    }

    fn check_limit(&mut self, more: usize) -> Result<(), EventTooLong> {
        self.taken = self.taken.saturating_add(more);
        self.failed |= self.taken > EVENT_LIMIT;
        if self.failed {
            self.line = Vec::new();
            self.event = Event::default();
            return Err(EventTooLong);
        }
        Ok(())
    }

    fn end_line(&mut self, each: &mut impl FnMut(Event)) {
        let mut line = self.line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.taken = 0;
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_field) {
                each(event);
            }
        } else {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let value = line.get(colon + 1..).unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &line[..colon] {
                b"event" => self.event.name = String::from_utf8_lossy(value).into_owned(),
                b"error" => {
                    "error".clone_into(&mut self.event.name);
                    append(&mut self.event.data, self.has_field, value);
                    self.has_field = true;
                }
                b"data" => {
                    append(&mut self.event.data, self.has_field, value);
                    self.has_field = true;
                }
                _ => {}
            }
        }
        self.line.clear();
        // A long event leaves no long buffer behind.
        self.line.shrink_to(1 << 16);
    }
}

fn append(data: &mut Vec<u8>, has_field: bool, value: &[u8]) {
    if has_field {
        data.push(b'\n');
    }
    data.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let (mut events, mut found) = (Events::new(), Vec::new());
        for chunk in chunks {
            events.push(chunk, |event| found.push(event)).unwrap();
        }
        found.extend(events.finish());
        found.into_iter().map(|event| (event.name, String::from_utf8(event.data).unwrap())).collect()
    }

    fn data(input: &str) -> Vec<String> {
        all(&[input.as_bytes()]).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn events_are_parted_by_blank_lines_with_any_line_end() {
        assert_eq!(data("data: a\n\ndata: b\r\n\r\ndata:c\r\rdata: d\n\n"), ["a", "b", "c", "d"]);
        assert_eq!(data("\u{feff}data: a\n\n"), ["a"]);
    }

    #[test]
    fn comments_ids_and_events_without_data_are_passed_over() {
        let input = ": ping\n\nevent: ping\n\nevent: x\nid: 7\nretry: 10\ndata: a\n\n:\n\n";
        assert_eq!(all(&[input.as_bytes()]), [("x".to_owned(), "a".to_owned())]);
    }

    #[test]
    fn data_lines_of_one_event_are_joined_and_only_one_space_is_cut() {
        assert_eq!(data("data: a\ndata:  b\ndata\n\n"), ["a\n b\n"]);
    }

    #[test]
    fn an_event_that_the_end_cuts_off_is_still_seen() {
        assert_eq!(data("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
        assert_eq!(all(&[b"error: {\"code\":500}\n\n"]), [("error".to_owned(), "{\"code\":500}".to_owned())]);
        assert!(data("").is_empty());
    }

    #[test]
    fn any_cut_gives_the_same_events() {
        let input =
            "\u{feff}event: a\r\ndata: ünï\r\n\r\n: c\rdata: x\rdata: y\r\rdata: \u{1f600}\n\ndata: last"
                .as_bytes();
        let whole = all(&[input]);
        assert_eq!(whole.len(), 4);
        for first in 0..=input.len() {
            for second in first..=input.len() {
                assert_eq!(all(&[&input[..first], &input[first..second], &input[second..]]), whole);
            }
        }
    }

    #[test]
    fn a_boundary_is_where_another_event_may_stand() {
        let mut events = Events::new();
        for (chunk, boundary) in
            [("", true), ("da", false), ("ta: x\n", false), ("\n", true), (": c\n", false), ("\n", true)]
        {
            events.push(chunk.as_bytes(), drop).unwrap();
            assert_eq!(events.at_boundary(), boundary, "{chunk:?}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused_and_holds_no_memory() {
        let (chunk, mut events, mut result) = (vec![b'x'; 1 << 20], Events::new(), Ok(()));
        for _ in 0..=16 {
            result = events.push(&chunk, drop);
        }
        assert_eq!(result, Err(EventTooLong));
        assert_eq!(events.line.capacity(), 0);
        assert_eq!(events.push(b"\n\ndata: x\n\n", drop), Err(EventTooLong));
        assert_eq!(events.finish(), None);
        let (lines, mut events) = (b"data: x\n".repeat(1 << 17), Events::new());
        assert!((0..32).any(|_| events.push(&lines, drop).is_err()));
    }
}
