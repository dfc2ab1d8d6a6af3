//! What processes and loggers put before the text of a line.
use crate::level::Level;

/// What has been taken from the front of a line.
#[derive(Default)]
pub(crate) struct Prefix {
    pub(crate) end: usize,
    pub(crate) level: Level,
    /// A logger wrote it.
    pub(crate) begins: bool,
    /// The source file that it names.
    pub(crate) source: (usize, usize),
}

impl Prefix {
    /// Take one more; says whether there was one.
    pub(crate) fn take(&mut self, rest: &str) -> bool {
        if let Some(length) = process(rest) {
            self.end += length;
            return true;
        }
        let found = stamp(rest)
            .or_else(|| hit(rest))
            .map(|length| (length, Level::NotGiven))
            .or_else(|| llama(rest))
            .or_else(|| torch(rest))
            .or_else(|| logging(rest))
            .or_else(|| self.level_word(rest));
        let Some((length, level)) = found else { return false };
        self.end += length;
        self.begins = true;
        if level != Level::NotGiven {
            self.level = level;
        }
        true
    }

    /// `ERROR 11-20 10:02:13 [core.py:1186] `, `WARNING server_args.py:1968: `, and `ERROR:    ` of uvicorn.
    fn level_word(&mut self, rest: &str) -> Option<(usize, Level)> {
        let start = rest.trim_start();
        let blanks = rest.len() - start.len();
        let (word, level) = WORDS.iter().find(|(word, _)| start.starts_with(word))?;
        let behind = &start[word.len()..];
        let length = match behind.as_bytes().first()? {
            b':' => {
                1 + behind[1..]
                    .bytes()
                    .take(9_usize.saturating_sub(word.len()))
                    .take_while(|b| *b == b' ')
                    .count()
            }
            b' ' => self.place(behind, rest.len() - behind.len())?,
            _ => return None,
        };
        Some((blanks + word.len() + length, *level))
    }

    /// The date, the time and the source file behind a level: how long that is. `at` is where it stands behind the prefixes so far.
    fn place(&mut self, behind: &str, at: usize) -> Option<usize> {
        let colon = behind.match_indices(".py:").map(|(at, _)| at).next().filter(|at| *at < 80)?;
        let digits = behind[colon + 4..].bytes().take_while(u8::is_ascii_digit).count();
        let name = behind[..colon].rfind([' ', '[', '/']).map_or(0, |at| at + 1);
        self.source = (self.end + at + name, self.end + at + colon);
        let end = colon + 4 + digits;
        let closed = behind[end..].bytes().take_while(|b| matches!(b, b']' | b':')).count();
        let blank = usize::from(behind[end + closed..].starts_with(' '));
        Some(end + closed + blank)
    }
}

const WORDS: [(&str, Level); 6] = [
    ("DEBUG", Level::Low),
    ("INFO", Level::Low),
    ("WARNING", Level::Low),
    ("WARN", Level::Low),
    ("ERROR", Level::Error),
    ("CRITICAL", Level::Error),
];

/// `(EngineCore pid=211) `, `[rank0]:`, and a container's name with a bar.
fn process(rest: &str) -> Option<usize> {
    let start = rest.trim_start();
    let blanks = rest.len() - start.len();
    let behind = |end: usize| blanks + end + usize::from(start[end..].starts_with(' '));
    if start.starts_with('(') {
        let end = start.find(')').filter(|end| start[..*end].contains("pid=") && *end < 120)?;
        return Some(behind(end + 1));
    }
    if start.starts_with("[rank") {
        return start.find("]:").filter(|end| *end < 12).map(|end| behind(end + 2));
    }
    let (name, _) = rest.split_once('|')?;
    let word = name.trim_end();
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    (plain && name.len() > word.len())
        .then(|| name.len() + 1 + usize::from(rest[name.len() + 1..].starts_with(' ')))
}

/// `[2026-11-20 10:02:13 TP0] ` and other stamps that begin with a date.
fn stamp(rest: &str) -> Option<usize> {
    let start = rest.trim_start();
    let blanks = rest.len() - start.len();
    let date = |text: &str| {
        let bytes = text.as_bytes();
        bytes.len() > 10 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-' && bytes[7] == b'-'
    };
    let end = match start.strip_prefix('[') {
        Some(inner) if date(inner) => start.find(']').filter(|end| *end < 60)? + 1,
        None if date(start) && start.as_bytes()[10] == b'T' => start.find(' ')?,
        _ => return None,
    };
    Some(blanks + end + usize::from(start[end..].starts_with(' ')))
}

/// SGLang's `Scheduler hit an exception: `.
fn hit(rest: &str) -> Option<usize> {
    const WORDS: &str = " hit an exception: ";
    rest.find(WORDS).filter(|at| *at < 40).map(|at| at + WORDS.len())
}

/// llama.cpp's `0.00.121.302 E `.
fn llama(rest: &str) -> Option<(usize, Level)> {
    let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let mut behind = rest[digits..].bytes();
    if digits < 9 || rest[..digits].matches('.').count() != 3 || behind.next() != Some(b' ') {
        return None;
    }
    let level = match behind.next()? {
        b'E' => Level::Error,
        b'W' | b'I' | b'D' => Level::Low,
        _ => return None,
    };
    (behind.next() == Some(b' ')).then_some((digits + 3, level))
}

/// torch's `[W1121 10:02:19.118331 socket.cpp:767] `, once `[W socket.cpp:663] `.
fn torch(rest: &str) -> Option<(usize, Level)> {
    let inner = rest.strip_prefix('[')?.as_bytes();
    let level = match inner.first()? {
        b'W' | b'I' => Level::Low,
        b'E' | b'F' => Level::Error,
        _ => return None,
    };
    let numbered = inner.get(1) == Some(&b' ')
        || inner.get(1..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
    let end = rest.find(".cpp:").filter(|_| numbered).and_then(|at| Some(at + rest[at..].find(']')?))?;
    Some((end + 1 + usize::from(rest[end + 1..].starts_with(' ')), level))
}

/// Python's own `2026-11-20 10:02:13,456 - name - ERROR - `.
fn logging(rest: &str) -> Option<(usize, Level)> {
    let dated = rest.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let (end, level) = WORDS.iter().filter(|_| dated).find_map(|(word, level)| {
        let at = rest.find(&format!(" - {word} - "))?;
        (at < 100).then_some((at + word.len() + 6, *level))
    })?;
    Some((end, level))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Line;

    #[test]
    fn what_processes_and_loggers_put_before_a_line_is_told_from_its_text() {
        for (raw, body, level) in [
            (
                "(EngineCore pid=211) ERROR 11-20 10:02:13 [core.py:1186] ValueError: x",
                "ValueError: x",
                Level::Error,
            ),
            ("(EngineCore pid=2)   File \"a.py\", line 1", "  File \"a.py\", line 1", Level::NotGiven),
            (
                "ERROR 10-25 00:26:24 registry.py:272]     from a import b",
                "    from a import b",
                Level::Error,
            ),
            (
                "(W pid=1) ERROR 04-28 07:10:29 [v1/engine/core.py:1108]     raise e",
                "    raise e",
                Level::Error,
            ),
            ("[2026-11-20 10:02:13 TP0] RuntimeError: x", "RuntimeError: x", Level::NotGiven),
            (
                "[2026-11-20 10:02:13 TP0] Scheduler hit an exception: OSError: x",
                "OSError: x",
                Level::NotGiven,
            ),
            ("[2026-02-12 14:28:58] WARNING server_args.py:1968: text", "text", Level::Low),
            ("[2026-11-29 03:32:47] ERROR:    [Errno 98] error", "[Errno 98] error", Level::Error),
            ("ERROR:      File \"x\"", "  File \"x\"", Level::Error),
            ("INFO:     127.0.0.1:1 - \"GET\"", "127.0.0.1:1 - \"GET\"", Level::Low),
            ("[rank0]:     raise Error(", "    raise Error(", Level::NotGiven),
            (
                "[rank2]:[E909 08:45:31.9169 ProcessGroupNCCL.cpp:1589] [PG ID 0] x",
                "[PG ID 0] x",
                Level::Error,
            ),
            ("[W1121 10:02:19.118331 socket.cpp:767] [c10d] The", "[c10d] The", Level::Low),
            ("[E socket.cpp:957] [c10d] The", "[c10d] The", Level::Error),
            ("0.00.112.428 E llama_model_load: error", "llama_model_load: error", Level::Error),
            ("4.00.239.816 W srv  x", "srv  x", Level::Low),
            ("sglang-1  | [2025-10-29 11:26:03] SIGQUIT", "SIGQUIT", Level::NotGiven),
            ("2026-11-20T10:02:13.1Z 2026-11-20 10:02:13,456 - x - WARNING - text", "text", Level::Low),
            ("    ERROR 04-22 21:41:28 [worker_base.py:598] ld: x", "ld: x", Level::Error),
            ("ValueError: a | b", "ValueError: a | b", Level::NotGiven),
            ("error: 0.1.2 is no version", "error: 0.1.2 is no version", Level::NotGiven),
        ] {
            let line = Line::new(raw);
            assert_eq!((line.body(), line.level), (body, level), "{raw}");
        }
        let line = Line::new("(APIServer pid=7) ERROR 11-29 02:45:36 [serving.py:274] Error with model");
        assert_eq!(line.source(), "serving");
    }
}
