//! Text that somebody else wrote, made fit for a person's eyes; what a mistyped name was meant to be; amounts and moments as
//! a person reads them.
mod amount;
mod moment;
mod nearest;

pub use amount::{count, size};
pub use moment::{unix_of, utc};
pub use nearest::nearest;

/// One line: no control characters, nor those that turn the direction of what follows.
#[must_use]
pub fn one_line(text: &str) -> String {
    shown(text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }))
}

/// The same of several lines, which stay several, with their tabs.
#[must_use]
pub fn lines_of(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => format!("{}\n", cells(line)),
            None => cells(line),
        })
        .collect()
}

fn cells(line: &str) -> String {
    line.split('\t').map(|cell| shown(cell.chars())).collect::<Vec<_>>().join("\t")
}

fn shown(text: impl Iterator<Item = char>) -> String {
    text.filter(|c| !c.is_control() && !turns(*c)).collect()
}

fn turns(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        let text = "a\n\u{1b}[31mistat: all is well\u{202e}\t\u{9b}!\r";
        assert_eq!(one_line(text), "a [31mistat: all is well ! ");
        assert_eq!(lines_of(text), "a\n[31mistat: all is well\t!");
        assert_eq!(lines_of("äöü 漢\n\n"), "äöü 漢\n\n");
    }
}
