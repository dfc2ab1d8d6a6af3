//! A report as one HTML page that needs nothing else: no script, no font, no picture from anywhere, and a policy that lets the
//! browser load none, whatever a record says.
use crate::markup::escaped;
use crate::page::{Block, Cell, Page, Section};
use crate::svg;

const HEAD: &str = r#"<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
"#;

const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --bar: #2f6fb0; --bad: #b3372f; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin-bottom: .3rem; }
nav a { margin-right: 1em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; }
th, td { text-align: left; vertical-align: top; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid var(--line); }
td { overflow-wrap: anywhere; } td:first-child { overflow-wrap: normal; white-space: nowrap; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .6rem .8rem; overflow: auto; max-height: 30rem; white-space: pre-wrap; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
.bar { fill: var(--bar); } .bad { fill: var(--bad); } .axis { stroke: var(--line); }
";

pub(crate) fn render(page: &Page) -> String {
    let title = escaped(&page.title);
    let mut out = format!("<!doctype html>\n<html lang=\"en\">\n<head>\n{HEAD}<title>{title}</title>\n");
    out.push_str(&format!("<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<nav>"));
    for section in &page.sections {
        out.push_str(&format!("<a href=\"#{}\">{}</a>", anchor(section), escaped(section.title)));
    }
    out.push_str("</nav>\n");
    for section in &page.sections {
        out.push_str(&format!("<section id=\"{}\">\n<h2>{}</h2>\n", anchor(section), escaped(section.title)));
        section.blocks.iter().for_each(|shown| out.push_str(&block(shown)));
        out.push_str("</section>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// Our own titles are a few words each.
fn anchor(section: &Section) -> String {
    section.title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", escaped(&tool::one_line(text))),
        Block::Heading(text) => format!("<h3>{}</h3>\n", escaped(&tool::one_line(text))),
        Block::Table { head, rows } => table(head, rows),
        Block::Lines(text) => format!("<pre>{}</pre>\n", escaped(&tool::lines_of(text))),
        Block::Timeline(bars) => svg::timeline(bars),
    }
}

fn table(head: &[&str], rows: &[Vec<Cell>]) -> String {
    let mut out = String::from("<div class=\"wide\"><table>\n");
    if head.iter().any(|word| !word.is_empty()) {
        let words: String = head.iter().map(|word| format!("<th>{}</th>", escaped(word))).collect();
        out.push_str(&format!("<thead><tr>{words}</tr></thead>\n"));
    }
    out.push_str("<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        row.iter().for_each(|shown| out.push_str(&format!("<td>{}</td>", cell(shown))));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    out
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => escaped(&tool::one_line(text)),
        Cell::Code(text) => format!("<code>{}</code>", escaped(&tool::one_line(text))),
    }
}
