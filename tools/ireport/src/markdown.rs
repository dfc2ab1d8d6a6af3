//! A report as Markdown, as GitHub reads it. Everything that comes from a record is escaped: it can make no heading, no link,
//! no image and no HTML.
use crate::page::{Bar, Block, Cell, Page};

pub(crate) fn render(page: &Page) -> String {
    let mut out = format!("# {}\n", escaped(&page.title));
    for section in &page.sections {
        out.push_str(&format!("\n## {}\n", section.title));
        for shown in section.blocks.iter().map(block).filter(|shown| !shown.is_empty()) {
            out.push('\n');
            out.push_str(&shown);
        }
    }
    out
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("{}\n", escaped(text)),
        Block::Heading(text) => format!("### {}\n", escaped(text)),
        Block::Table { head, rows } => table(head, rows),
        Block::Lines(text) => fenced(text),
        Block::Timeline(bars) => timeline(bars),
    }
}

fn table(head: &[&str], rows: &[Vec<Cell>]) -> String {
    let mut out = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(cell).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => escaped(text),
        Cell::Code(text) => span(text),
    }
}

/// Bars cannot be drawn here: their numbers can.
fn timeline(bars: &[Bar]) -> String {
    let seconds = |time: f64| Cell::Text(format!("{time:.3}"));
    let row = |bar: &Bar| {
        let label = Cell::Text(bar.label.clone());
        vec![label, seconds(bar.start_s), seconds(bar.end_s), seconds(bar.end_s - bar.start_s)]
    };
    table(&["what", "from s", "to s", "seconds"], &bars.iter().map(row).collect::<Vec<_>>())
}

/// ASCII punctuation that means nothing in the middle of a line, nor at the beginning of one of ours.
const PLAIN: &str = ".,;:%/'\"-()=+?";

/// Words on one line, in which no character means anything.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in tool::one_line(text).chars() {
        // All ASCII punctuation may stand behind a backslash (CommonMark 2.4).
        if c.is_ascii_punctuation() && !PLAIN.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    // A bare URL would become a link.
    out.replace("://", "\\://").replace("www.", "www\\.")
}

/// A code span, in a fence longer than any in it. A bar ends a table's cell even there.
fn span(text: &str) -> String {
    let text = tool::one_line(text).replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

fn fenced(text: &str) -> String {
    let text = tool::lines_of(text);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_record_means_anything() {
        assert_eq!(
            escaped("# a *b* [c](d) <e> | `f` ![g]\n- h"),
            "\\# a \\*b\\* \\[c\\](d) \\<e\\> \\| \\`f\\` \\!\\[g\\] - h"
        );
        assert_eq!(escaped("http://x www.x a@b"), "http\\://x www\\.x a\\@b");
    }

    #[test]
    fn code_stays_in_its_fence() {
        assert_eq!(span("a``b|c"), "```a``b\\|c```");
        assert_eq!(span("`"), "`` ` ``");
        assert_eq!(fenced("x\n````\n\u{1b}[31my\n"), "`````text\nx\n````\n[31my\n`````\n");
    }
}
