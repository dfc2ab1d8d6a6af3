//! The table of patterns, read from the text beside it: no parser, no regular expressions, nothing kept.
use crate::{Class, Exit};
use record::Engine;

const TEXT: &str = include_str!("patterns.txt");

/// One row. Without a class it is noise.
pub(crate) struct Row {
    pub(crate) class: Option<Class>,
    engines: &'static str,
    pattern: &'static str,
}

impl Row {
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.splitn(3, '|').map(str::trim);
        let (id, engines, pattern) = (fields.next()?, fields.next()?, fields.next()?);
        let class = Class::ALL.into_iter().find(|class| class.id() == id);
        (class.is_some() || id == "noise").then_some(Self { class, engines, pattern })
    }

    pub(crate) fn is_for(&self, engine: Engine) -> bool {
        self.engines == "*" || self.engines.split(' ').any(|id| id == engine.id())
    }

    /// Are the pattern's pieces in the line, in order?
    pub(crate) fn matches(&self, line: &str) -> bool {
        let mut rest = line;
        self.fact().is_none()
            && self.pattern.split('*').all(|piece| match rest.find(piece) {
                Some(at) => {
                    rest = &rest[at + piece.len()..];
                    true
                }
                None => false,
            })
    }

    /// Does the exit alone prove it?
    pub(crate) fn is_proved_by(&self, exit: Exit) -> bool {
        let number = |text: &str| text.parse::<i32>().ok();
        match self.fact().map(|fact| fact.split_once(' ').unwrap_or((fact, ""))) {
            Some(("oom_killed", _)) => exit.oom_killed,
            Some(("signal", text)) => exit.signal.is_some() && exit.signal == number(text),
            Some(("code", text)) => exit.code.is_some() && exit.code == number(text),
            _ => false,
        }
    }

    fn fact(&self) -> Option<&'static str> {
        self.pattern.strip_prefix("exit:")
    }
}

/// All rows, in the file's order, which is that of precedence.
pub(crate) fn rows() -> Vec<Row> {
    TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(Row::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_file_is_understood() {
        let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let row = Row::parse(line).unwrap_or_else(|| panic!("{line}"));
            assert!(row.engines.split(' ').all(|id| id == "*" || id.parse::<Engine>().is_ok()), "{line}");
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
    fn pieces_match_in_their_order_only() {
        let row = Row { class: None, engines: "*", pattern: "failed*device*of" };
        assert!(row.matches("it failed on device 0 out of 8"));
        assert!(!row.matches("device 0 of 8 failed"));
    }
}
