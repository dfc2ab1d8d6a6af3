//! The text of `llama-server --help`.
//!
//! Written by llama.cpp's common/arg.cpp: the spellings, those that turn the option off last, then what its value is called;
//! from column 40 on, or on the lines below, what it means. `(default: X)`, `allowed values: a, b` and how several values are
//! given stand in that text.
use crate::{Flag, List, Takes, Type};

/// Where the explanations begin.
const COLUMN: usize = 40;

pub(crate) fn read(text: &str) -> Vec<Flag> {
    let mut flags: Vec<(Head, String)> = Vec::new();
    for line in text.lines() {
        if line.starts_with('-') && !line.starts_with("-----") {
            if let Some((head, rest)) = Head::of(line) {
                flags.push((head, rest.to_owned()));
            }
        } else if let (Some((_, about)), true) = (flags.last_mut(), line.starts_with(&" ".repeat(COLUMN))) {
            about.push('\n');
            about.push_str(line.trim());
        }
    }
    flags.into_iter().map(|(head, about)| head.flag(&about)).collect()
}

/// The spellings of an option and the name of its value.
struct Head {
    spellings: Vec<String>,
    value: String,
}

impl Head {
    /// And what stands behind it on the same line.
    fn of(line: &str) -> Option<(Self, &str)> {
        let mut spellings = Vec::new();
        let mut rest = line;
        loop {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            let (spelling, behind) = rest.split_at(end);
            if !spelling.starts_with('-') {
                return None;
            }
            spellings.push(spelling.to_owned());
            match behind.strip_prefix(',').map(str::trim_start) {
                Some(next) if next.starts_with('-') => rest = next,
                _ => {
                    rest = behind;
                    break;
                }
            }
        }
        // One space, then the value's name; two, then the explanation.
        let named = rest.strip_prefix(' ').filter(|rest| !rest.starts_with(' ')).unwrap_or_default();
        let (value, about) = named.split_once("  ").unwrap_or((named, ""));
        let about = if named.is_empty() { rest } else { about };
        Some((Self { spellings, value: value.trim().to_owned() }, about.trim()))
    }

    fn flag(self, about: &str) -> Flag {
        let Self { mut spellings, value } = self;
        let flat = about.replace('\n', " ");
        let long = |spelling: &String| spelling.starts_with("--") && !spelling.starts_with("--no-");
        // What follows the last long spelling that says yes says no, where there is a no.
        let last = spellings.iter().rposition(long).map_or(spellings.len(), |at| at + 1);
        let says_no = value.is_empty() && spellings[last..].iter().any(|s| s.starts_with("--no-"));
        let negative = if says_no { spellings.split_off(last) } else { Vec::new() };
        let default = default_of(&flat);
        let choices = choices(&value, &flat);
        let list = list(&value, &flat, &spellings);
        let takes = match value.split_whitespace().count() {
            0 => Takes::Nothing,
            // A name of several words is one value, unless it is a row of plain names.
            count if value.split_whitespace().all(|word| word.chars().all(char::is_uppercase)) => {
                Takes::Exactly(u32::try_from(count).unwrap_or(1))
            }
            _ => Takes::Exactly(1),
        };
        Flag {
            kind: kind(&value, &flat, default.as_deref(), list),
            negative,
            takes,
            list,
            choices,
            default,
            deprecated: flat.to_lowercase().contains("deprecated"),
            removed: flat.contains("has been removed").then(|| flat.clone()),
            spellings,
        }
    }
}

/// The words of `(default: X)` up to the first comma or bracket; `None` where they refer to something else.
fn default_of(about: &str) -> Option<String> {
    let (_, rest) = about.split_once("(default: ").or_else(|| about.split_once("default: "))?;
    let end = rest.find([',', ')']).unwrap_or(rest.len());
    let word = rest[..end].trim().trim_matches(['\'', '"']);
    let refers = ["same as", "value from", "loaded from", "read from", "search"];
    (!word.is_empty() && !refers.iter().any(|words| word.starts_with(words))).then(|| word.to_owned())
}

/// The closed set of values: `{a,b}`, `[on|off]`, `<0|1>` in place of a name, or `allowed values: a, b`.
fn choices(value: &str, about: &str) -> Vec<String> {
    let inside = |open: char, close: char, between: char| {
        let set = value.strip_prefix(open)?.strip_suffix(close)?;
        (set.contains(between) && !set.contains("..")).then(|| words(set, between))
    };
    let allowed = || {
        let (_, rest) = about.split_once("allowed values: ")?;
        Some(words(rest.split('(').next()?, ','))
    };
    inside('{', '}', ',')
        .or_else(|| inside('[', ']', '|'))
        .or_else(|| inside('<', '>', '|'))
        .or_else(allowed)
        .unwrap_or_default()
}

fn words(text: &str, between: char) -> Vec<String> {
    text.split(between).map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// Options that collect a value each time they are given, which their help does not say.
const COLLECTING: [&str; 3] = ["--logit-bias", "--reverse-prompt", "--dry-sequence-breaker"];

fn list(value: &str, about: &str, spellings: &[String]) -> Option<List> {
    if spellings.iter().any(|spelling| COLLECTING.contains(&spelling.as_str())) {
        return Some(List::Repeat);
    }
    if about.contains("separated by ';'") {
        return Some(List::Semicolon);
    }
    let said = ["comma-separated", "comma separated"].iter().any(|words| about.contains(words));
    let shown = value.contains(",...") || value.contains(",..");
    (said || shown).then_some(List::Comma)
}

/// A default tells a whole number from one with a fraction: llama.cpp prints the latter with a point.
fn kind(value: &str, about: &str, default: Option<&str>, list: Option<List>) -> Type {
    let quoted = about.contains("'auto'") || about.contains("'all'");
    let numeric = matches!(value, "N" | "SEED" | "PORT" | "INDEX" | "P" | "L") || value.starts_with("<0...");
    match default {
        _ if value == "JSON" || about.contains("json template parser") => Type::Json,
        _ if list.is_some() || quoted || !numeric => Type::Text,
        Some(default) if default.parse::<i64>().is_ok() => Type::Integer,
        Some(default) if default.parse::<f64>().is_ok() => Type::Number,
        // A word is a value too: the default is one.
        Some(_) if !value.starts_with('<') => Type::Unknown,
        _ => Type::Number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Flag {
        let mut flags = read(text);
        assert_eq!(flags.len(), 1, "{text}");
        flags.remove(0)
    }

    #[test]
    fn spellings_end_where_the_value_begins() {
        let flag = one("-t,    --threads N                      number of threads (default: -1)");
        assert_eq!(
            (flag.spellings, flag.takes),
            (vec!["-t".to_owned(), "--threads".to_owned()], Takes::Exactly(1))
        );
        assert_eq!((flag.kind, flag.default.as_deref()), (Type::Integer, Some("-1")));
        let flag = one(
            "-hf,   -hfr, --hf-repo <user>/<model>[:quant]\n                                        a model",
        );
        assert_eq!((flag.spellings.len(), flag.takes), (3, Takes::Exactly(1)));
        let flag =
            one("--control-vector-layer-range START END\n                                        layers");
        assert_eq!(flag.takes, Takes::Exactly(2));
        let flag = one(
            "-ot,   --override-tensor <tensor name pattern>=<buffer type>,...\n                                        x",
        );
        assert_eq!((flag.takes, flag.list), (Takes::Exactly(1), Some(List::Comma)));
    }

    #[test]
    fn what_turns_an_option_off_stands_last() {
        for (head, on, off) in [
            ("--perf, --no-perf", 1, 1),
            ("-kvo,  --kv-offload, -nkvo, --no-kv-offload", 2, 2),
            ("--repack, -nr, --no-repack", 1, 2),
            ("--ui,  --webui, --no-ui, --no-webui", 2, 2),
            ("--no-host", 1, 0),
            ("--swa-full", 1, 0),
        ] {
            let flag = one(head);
            assert_eq!(
                (flag.spellings.len(), flag.negative.len(), flag.takes),
                (on, off, Takes::Nothing),
                "{head}"
            );
        }
    }

    #[test]
    fn closed_sets_lists_and_types_are_read_from_the_text() {
        let fa =
            one("-fa,   --flash-attn [on|off|auto]       set use ('on', 'off', or 'auto', default: 'auto')");
        assert_eq!((fa.choices.join(" "), fa.default.as_deref()), ("on off auto".to_owned(), Some("auto")));
        assert_eq!(one("--cpu-strict <0|1>                      strict (default: 0)").choices, ["0", "1"]);
        assert!(one("--poll <0...100>                        level (default: 50)").choices.is_empty());
        let cache = "-ctk,  --cache-type-k TYPE              data type\n                                        allowed values: f32, f16\n                                        (default: f16)";
        assert_eq!(one(cache).choices, ["f32", "f16"]);
        assert_eq!(
            one("--temp N                                temperature (default: 0.80)").kind,
            Type::Number
        );
        let layers = "-ngl,  --n-gpu-layers N                 a number, 'auto', or 'all' (default: auto)";
        assert_eq!(one(layers).kind, Type::Text);
        let samplers = "--samplers SAMPLERS                     used in the order, separated by\n                                        ';'";
        assert_eq!(one(samplers).list, Some(List::Semicolon));
        let gone = one(
            "--draft, --draft-max N                  the argument has been removed. use --spec-draft-n-max",
        );
        assert!(gone.removed.is_some_and(|text| text.ends_with("--spec-draft-n-max")));
    }
}
