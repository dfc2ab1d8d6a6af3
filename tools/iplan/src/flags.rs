//! An engine's options for a person.
use vocabulary::{Flag, Vocabulary};

/// One line for each: its spellings, what it takes, its default.
pub(crate) fn render(vocabulary: &Vocabulary) -> String {
    let rows: Vec<(String, String)> =
        vocabulary.flags.iter().map(|flag| (typed(flag), about(flag))).collect();
    let width = rows.iter().map(|(typed, _)| typed.chars().count()).max().unwrap_or(0).min(WIDTH);
    let mut text = String::new();
    for (typed, about) in rows {
        text.push_str(format!("{typed:width$}  {about}").trim_end());
        text.push('\n');
    }
    text
}

/// Longer ones stand out of their column.
const WIDTH: usize = 60;

fn typed(flag: &Flag) -> String {
    let spellings: Vec<&str> = flag.spellings.iter().chain(&flag.negative).map(String::as_str).collect();
    format!("{} {}", spellings.join(", "), flag.shown_values()).trim_end().to_owned()
}

fn about(flag: &Flag) -> String {
    let default = flag.default.as_ref().map(|default| format!("default {default}"));
    let deprecated = flag.deprecated.then(|| "deprecated".to_owned());
    let removed = flag.removed.as_ref().map(|_| "no longer there".to_owned());
    [default, deprecated, removed].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
