//! Reading and writing lines. A line is handed on exactly as it came, whether it is understood or not.
use crate::Record;
use std::io::{self, BufRead, Read, Write};

/// The longest line that is accepted, its newline not counted: 16 MiB.
pub const LINE_LIMIT: usize = 16 << 20;

/// Why a line could not be read.
#[derive(Debug)]
pub enum Error {
    /// The system refused.
    Read(io::Error),
    /// Line `number` (from 1) is not a record.
    Malformed {
        /// The line's number, from 1.
        number: u64,
        /// What is wrong with it.
        cause: String,
    },
}

/// One line of a stream.
#[derive(Debug)]
pub struct Line {
    /// The bytes as they came, newline included where there was one.
    pub raw: Vec<u8>,
    /// The record; `None` for a blank line or a kind that this version does not know.
    pub record: Option<Record>,
}

/// Reads a stream line by line.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the start of a stream.
    pub fn new(input: R) -> Self {
        Self { input, number: 0 }
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Read`] when the system refuses; [`Error::Malformed`] for a line that is longer than [`LINE_LIMIT`], not
    /// UTF-8, not a JSON object with a `kind`, or of a known kind with a field missing or of the wrong type.
    pub fn read(&mut self) -> Result<Option<Line>, Error> {
        self.number += 1;
        let mut raw = Vec::new();
        let limit = LINE_LIMIT as u64 + 1;
        (&mut self.input).take(limit).read_until(b'\n', &mut raw).map_err(Error::Read)?;
        if raw.is_empty() {
            return Ok(None);
        }
        if raw.len() > LINE_LIMIT && !raw.ends_with(b"\n") {
            return Err(self.malformed("longer than 16 MiB"));
        }
        let text =
            std::str::from_utf8(&raw).map_err(|error| self.malformed(&format!("not UTF-8: {error}")))?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(Some(Line { raw, record: None }));
        }
        let record = Record::parse(text).map_err(|error| self.malformed(&describe_error(text, &error)))?;
        Ok(Some(Line { raw, record }))
    }

    fn malformed(&self, cause: &str) -> Error {
        Error::Malformed { number: self.number, cause: cause.to_owned() }
    }
}

/// What is wrong with a line, for somebody who wrote it and knows nothing of the types that it is read as.
fn describe_error(text: &str, error: &serde_json::Error) -> String {
    let value = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(members)) => members,
        Ok(_) => return "it is JSON, but not an object".to_owned(),
        Err(error) if error.is_eof() => return "it is cut off".to_owned(),
        Err(error) => return format!("it is not JSON, from column {} on", error.column()),
    };
    let Some(kind) = value.get("kind") else { return "it has no 'kind'".to_owned() };
    let Some(kind) = kind.as_str() else { return "its 'kind' is not a string".to_owned() };
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    match said.starts_with("missing field ") {
        true => format!("{said} in a record of kind '{kind}'"),
        false => format!("in a record of kind '{kind}', column {}: {said}", error.column()),
    }
}

impl<T: Read> Reader<io::BufReader<T>> {
    /// Whether a whole line was read already and waits in memory.
    #[must_use]
    pub fn has_buffered_line(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }
}

/// Writes a stream, each line flushed by itself.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
}

impl<W: Write> Writer<W> {
    /// A writer at the start of a stream.
    pub fn new(output: W) -> Self {
        Self { output }
    }

    /// Hand a line on as it came. A last line without a newline gets one, or the next record would be glued to it.
    ///
    /// # Errors
    /// What the system says.
    pub fn forward(&mut self, line: &Line) -> io::Result<()> {
        self.output.write_all(&line.raw)?;
        if !line.raw.ends_with(b"\n") {
            self.output.write_all(b"\n")?;
        }
        self.output.flush()
    }

    /// Write a record of our own.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        self.write_at(record, None)
    }

    /// The same with the member `at_unix`, the time in unix seconds, unless the kind has one of its own.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_at(&mut self, record: &Record, at_unix: Option<f64>) -> io::Result<()> {
        let mut line = escape_control_characters(serde_json::to_string(record)?);
        if let Some(at) = at_unix.filter(|_| !matches!(record, Record::Host(_))) {
            line.truncate(line.len().saturating_sub(1));
            line.push_str(&format!(",\"at_unix\":{at}}}"));
        }
        line.push('\n');
        self.output.write_all(line.as_bytes())?;
        self.output.flush()
    }
}

/// The same JSON, with what a terminal would obey and JSON may hold as it is written as `\u....`: control characters beyond
/// ASCII, and those that turn the direction of what follows. A record is read by people, too.
fn escape_control_characters(json: String) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !json.contains(obeyed) {
        return json;
    }
    let written = |c: char| if obeyed(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(input: &[u8]) -> Result<Vec<u8>, Error> {
        let mut reader = Reader::new(input);
        let mut output = Vec::new();
        while let Some(line) = reader.read()? {
            Writer::new(&mut output).forward(&line).unwrap();
        }
        Ok(output)
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_in_ascii_and_means_the_same() {
        let json = "{\"a\":\"\u{9b}31m \u{202e} \\n é\"}".to_owned();
        let written = escape_control_characters(json.clone());
        assert_eq!(written, "{\"a\":\"\\u009b31m \\u202e \\n é\"}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&written), read(&json));
    }

    #[test]
    fn lines_pass_byte_for_byte_with_unknown_kinds_blank_lines_and_odd_spacing() {
        let input = b"{ \"kind\" :\"weather\",\"a\":1.0e2 }\r\n\n{\"kind\":\"skipped\",\"engine\":\"vllm\",\"by\":\"x\",\"why\":\"\\u00e9\"}\n";
        assert_eq!(copy(input).unwrap(), input);
    }

    #[test]
    fn a_time_is_one_more_member() {
        let skipped =
            crate::Skipped { engine: crate::Engine::Vllm, instance: None, by: "x".into(), why: "y".into() };
        let mut output = Vec::new();
        Writer::new(&mut output).write_at(&skipped.into(), Some(12.345)).unwrap();
        let line = r#"{"kind":"skipped","engine":"vllm","by":"x","why":"y","at_unix":12.345}"#;
        assert_eq!(String::from_utf8(output).unwrap(), format!("{line}\n"));
    }

    #[test]
    fn a_last_line_without_newline_gets_one() {
        assert_eq!(copy(b"{\"kind\":\"x\"}").unwrap(), b"{\"kind\":\"x\"}\n");
    }

    fn refused(input: &[u8]) -> (u64, String) {
        match copy(input) {
            Err(Error::Malformed { number, cause }) => (number, cause),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_a_record_is_refused_with_its_line_number() {
        assert_eq!(refused(b"{\"kind\":\"x\"}\nhello\n").0, 2);
        assert_eq!(refused(b"[1]\n").0, 1);
        assert_eq!(refused(b"{\"kind\":1}\n").0, 1);
        assert!(refused(b"{\"kind\":\"x\"}\n\n\xff\n").1.starts_with("not UTF-8"));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_without_the_names_of_types() {
        for (line, cause) in [
            ("hello", "it is not JSON, from column 1 on"),
            ("{\"kind\":\"x\",}", "it is not JSON, from column 13 on"),
            ("{\"kind\":\"plan\"", "it is cut off"),
            ("5", "it is JSON, but not an object"),
            ("[1]", "it is JSON, but not an object"),
            ("{}", "it has no 'kind'"),
            ("{\"kind\":5}", "its 'kind' is not a string"),
            ("{\"kind\":\"env\"}", "missing field `engine` in a record of kind 'env'"),
            (
                "{\"kind\":\"skipped\",\"engine\":7}",
                "in a record of kind 'skipped', column 28: expected value",
            ),
        ] {
            assert_eq!(refused(line.as_bytes()).1, cause, "{line}");
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit_passes_and_one_more_byte_does_not() {
        let line = |length: usize| {
            let mut text = b"{\"kind\":\"x\",\"a\":\"".to_vec();
            text.resize(length - 2, b'a');
            text.extend(b"\"}\n");
            text
        };
        assert!(copy(&line(LINE_LIMIT)).is_ok());
        assert_eq!(refused(&line(LINE_LIMIT + 1)), (1, "longer than 16 MiB".to_owned()));
    }
}
