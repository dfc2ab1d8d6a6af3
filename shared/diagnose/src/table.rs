//! The table of patterns, read from the text beside it: no parser, no regular expressions, nothing kept.
use crate::level::Level;
use crate::line::Line;
use crate::tail::Evidence;
use crate::{Class, Exit, errno};
use record::Engine;

const TEXT: &str = include_str!("patterns.txt");

/// What a row makes of a line that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is no evidence.
    Noise,
    /// What the error number in it says.
    Errno,
    Class(Class),
}

/// One row.
pub(crate) struct Row {
    pub(crate) makes: Verdict,
    /// Rows of one rank are equals; those of a lower one are asked first.
    pub(crate) rank: usize,
    engines: &'static str,
    pattern: &'static str,
}

impl Row {
    fn parse(line: &'static str, rank: usize) -> Option<Self> {
        let mut fields = line.splitn(3, '|').map(str::trim);
        let (id, engines, pattern) = (fields.next()?, fields.next()?, fields.next()?);
        let class = || Class::ALL.into_iter().find(|class| class.id() == id);
        let makes = match id {
            "noise" => Verdict::Noise,
            "errno" => Verdict::Errno,
            _ => Verdict::Class(class()?),
        };
        Some(Self { makes, rank, engines, pattern })
    }

    pub(crate) fn is_for(&self, engine: Engine) -> bool {
        self.engines == "*" || self.engines.split(' ').any(|id| id == engine.id())
    }

    /// The class that the row gives what was found, if it matches.
    pub(crate) fn class(&self, evidence: &Evidence<'_>) -> Option<Class> {
        let Evidence { line, quoted, handled, .. } = evidence;
        match self.makes {
            Verdict::Class(class) => {
                let over = *handled && self.pattern == "<exception>";
                (!over && self.matches(line)).then_some(class)
            }
            Verdict::Errno => {
                let (number, _) = errno::number(line.body()).filter(|_| line.level != Level::Low)?;
                let listed = self.pattern.split(' ').any(|listed| listed.parse() == Ok(number));
                listed.then(|| errno::class(line.body(), quoted)).flatten()
            }
            Verdict::Noise => None,
        }
    }

    /// Are the pattern's pieces in the line, in order?
    pub(crate) fn matches(&self, line: &Line<'_>) -> bool {
        if self.fact().is_some() || (line.level == Level::Low && !self.reads_whole_tail()) {
            return false;
        }
        match self.pattern.trim_start_matches('+') {
            "<exception>" => line.is_exception(),
            "<error>" => line.level == Level::Error,
            pattern => match pattern.strip_prefix('^') {
                Some(pattern) => begins(line.words(), pattern),
                None => has(&line.text, pattern),
            },
        }
    }

    /// Is it a row for warnings too?
    fn reads_whole_tail(&self) -> bool {
        self.pattern.starts_with('+') || self.makes == Verdict::Noise
    }

    /// The class that the exit alone proves.
    pub(crate) fn class_by(&self, exit: Exit) -> Option<Class> {
        let number = |text: &str| text.parse::<i32>().ok();
        let proves = match self.fact().map(|fact| fact.split_once(' ').unwrap_or((fact, ""))) {
            Some(("oom_killed", _)) => exit.oom_killed,
            Some(("signal", text)) => exit.signal.is_some() && exit.signal == number(text),
            Some(("code", text)) => exit.code.is_some() && exit.code == number(text),
            _ => false,
        };
        match self.makes {
            Verdict::Class(class) if proves => Some(class),
            _ => None,
        }
    }

    fn fact(&self) -> Option<&'static str> {
        self.pattern.strip_prefix("exit:")
    }
}

fn has(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

/// Does the text begin with the pattern's first piece, behind the modules of an exception's name at most?
fn begins(body: &str, pattern: &str) -> bool {
    let (first, rest) = pattern.split_once('*').unwrap_or((pattern, ""));
    let name =
        body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(body.len());
    let modules = body[..name].rfind('.').map_or(0, |at| at + 1);
    [body, &body[modules..]].iter().any(|text| text.strip_prefix(first).is_some_and(|text| has(text, rest)))
}

/// All rows, in the file's order, which is that of precedence within one line.
pub(crate) fn rows() -> Vec<Row> {
    let mut rank = 0;
    let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            rank += usize::from(line.starts_with("=="));
            Row::parse(line, rank)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_file_is_understood() {
        for line in TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '='])) {
            let row = Row::parse(line, 0).unwrap_or_else(|| panic!("{line}"));
            assert!(row.engines.split(' ').all(|id| id == "*" || id.parse::<Engine>().is_ok()), "{line}");
            if row.makes == Verdict::Errno {
                assert!(row.pattern.split(' ').all(|number| number.parse::<i32>().is_ok()), "{line}");
                continue;
            }
            let pieces = row.pattern.split('*').map(str::len);
            assert!(
                pieces.clone().sum::<usize>() >= 6 && pieces.max() >= Some(2),
                "matches too much: {line}"
            );
            let fact = row.fact().is_none_or(|fact| {
                fact == "oom_killed" || fact.starts_with("signal ") || fact.starts_with("code ")
            });
            assert!(fact, "{line}");
        }
    }

    #[test]
    fn pieces_match_in_their_order_only_and_a_caret_at_the_beginning() {
        let row = |pattern| Row { makes: Verdict::Class(Class::Crash), rank: 0, engines: "*", pattern };
        let matches = |pattern, text: &str| row(pattern).matches(&Line::new(text));
        assert!(matches("failed*device*of", "it failed on device 0 out of 8"));
        assert!(!matches("failed*device*of", "device 0 of 8 failed"));
        assert!(matches("^AError: *x", "(W pid=1) ERROR 11-20 10:02:13 [core.py:1] a.b.AError: at x"));
        assert!(!matches("^AError: *x", "told of AError: at x"));
        assert!(!matches("failed", "0.00.112.428 W it failed"));
        assert!(matches("+failed", "0.00.112.428 W it failed"));
    }
}
