//! What llama.cpp's help says of an option's value: its default, the closed set or the type, how several are given.
use crate::{List, Type};

/// The words of `(default: X)` up to the first comma, semicolon or bracket, a number alone where one begins them; `None` where
/// they refer to something else.
pub(crate) fn default_of(about: &str) -> Option<String> {
    let (_, rest) = about.split_once("(default: ").or_else(|| about.split_once("default: "))?;
    let end = rest.find([',', ')', '(']).unwrap_or(rest.len());
    let words = rest[..end].trim().trim_matches(['\'', '"']);
    let first = words.split([' ', ';']).next().filter(|word| word.parse::<f64>().is_ok());
    let refers = ["same as", "value from", "loaded from", "read from", "search"];
    let word = first.unwrap_or(words);
    (!word.is_empty() && !refers.iter().any(|words| word.starts_with(words))).then(|| word.to_owned())
}

/// The closed set of values: `{a,b}`, `[on|off]`, `<0|1>` or `a,b,c` in place of a name, `allowed values: a, b`, or one a line as
/// `- a: what it does`.
pub(crate) fn choices(value: &str, about: &str, default: Option<&str>) -> Vec<String> {
    let flat = about.replace('\n', " ");
    let inside = |open: char, close: char, between: char| {
        let set = value.strip_prefix(open)?.strip_suffix(close)?;
        (set.contains(between) && !set.contains("..")).then(|| words(set, between))
    };
    let allowed = || {
        let (_, rest) = flat.split_once("allowed values: ")?;
        Some(words(rest.split('(').next()?, ','))
    };
    let bare = || (value.split(',').count() > 1 && value.split(',').all(is_word)).then(|| words(value, ','));
    inside('{', '}', ',')
        .or_else(|| inside('[', ']', '|'))
        .or_else(|| inside('<', '>', '|'))
        .or_else(allowed)
        .or_else(bare)
        .or_else(|| numbered(&flat))
        .unwrap_or_else(|| lined(about, default))
}

/// `either an exact number, 'auto', or 'all'`: the words beside the number.
fn numbered(about: &str) -> Option<Vec<String>> {
    let (_, rest) = about.split_once("an exact number, ")?;
    let quoted: Vec<String> =
        rest.split('(').next()?.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    (!quoted.is_empty()).then_some(quoted)
}

/// What is listed one a line, and the default, which may be missing among them.
fn lined(about: &str, default: Option<&str>) -> Vec<String> {
    let word = |line: &str| {
        let (word, _) = line.strip_prefix("- ")?.split_once(':')?;
        Some(word.trim_end_matches(" (default)").to_owned()).filter(|word| is_word(word))
    };
    let mut found: Vec<String> = about.lines().filter_map(word).collect();
    if let Some(default) = default.filter(|default| found.len() > 1 && is_word(default))
        && !found.iter().any(|word| word == default)
    {
        found.push(default.to_owned());
    }
    if found.len() > 1 { found } else { Vec::new() }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_+".contains(c))
}

fn words(text: &str, between: char) -> Vec<String> {
    text.split(between).map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// Options that collect a value each time they are given, which their help does not say.
const COLLECTING: [&str; 3] = ["--logit-bias", "--reverse-prompt", "--dry-sequence-breaker"];

pub(crate) fn list(value: &str, about: &str, spellings: &[String]) -> Option<List> {
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

/// What a value is called that is text whatever its default looks like.
const TEXTS: [&str; 8] = ["STRING", "FNAME", "FILE", "PATH", "DIR", "MESSAGE", "TYPE", "MODE"];

/// The default shows whether a number is whole: llama.cpp prints a fraction with a point.
pub(crate) fn kind(value: &str, about: &str, default: Option<&str>, list: Option<List>) -> Type {
    let numbers = ["N0,", "P0,"].iter().any(|start| value.starts_with(start));
    let name = value.chars().all(|c| c.is_ascii_uppercase()) && !TEXTS.contains(&value);
    let by_default = name && default.is_some_and(|default| default.parse::<f64>().is_ok());
    let numeric = by_default
        || matches!(value, "N" | "SEED" | "PORT" | "INDEX" | "P" | "L")
        || value.starts_with("<0...");
    let counted = ["number of", "minimum number", "maximum number", "first N layers", "context limit"];
    match default {
        _ if value == "JSON" || value == "SCHEMA" || about.contains("json template parser") => Type::Json,
        _ if numbers => Type::Number,
        _ if value.starts_with("MiB0,") => Type::Integer,
        _ if about.contains("an exact number, '") => Type::Integer,
        _ if list.is_some() || !numeric || about.contains("'auto'") => Type::Text,
        Some(default) if default.parse::<i64>().is_ok() => Type::Integer,
        Some(default) if default.parse::<f64>().is_ok() => Type::Number,
        _ if counted.iter().any(|words| about.contains(words)) => Type::Integer,
        // A word is a value too: the default is one.
        Some(_) if !value.starts_with('<') => Type::Unknown,
        _ => Type::Number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::help::tests::one;

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

    #[test]
    fn what_is_listed_one_a_line_is_a_closed_set_and_the_default_in_it() {
        let pad = format!("\n{}", " ".repeat(40));
        let help = |head: &str, lines: &[&str]| one(&format!("{head}{pad}{}", lines.join(&pad)));
        let format = help(
            "--reasoning-format FORMAT",
            &["- none: leaves", "them", "- deepseek: puts", "(default: auto)"],
        );
        assert_eq!(format.choices, ["none", "deepseek", "auto"]);
        let split = help("--load-mode MODE", &["- mmap+mlock: x", "- none (default): y"]);
        assert_eq!(split.choices, ["mmap+mlock", "none"]);
        assert!(help("--notes N", &["how many - or none: 5", "- one: only"]).choices.is_empty());
        let types = help("--spec-type none,draft-simple,ngram-mod", &["comma-separated list of types"]);
        assert_eq!((types.choices.len(), types.list), (3, Some(List::Comma)));
        let layers =
            help("-ngl,  --n-gpu-layers N", &["either an exact number,", "'auto', or 'all' (default: auto)"]);
        assert_eq!((layers.choices.join(" "), layers.kind), ("auto all".to_owned(), Type::Integer));
    }

    #[test]
    fn a_number_is_known_by_its_default_its_name_or_what_it_counts() {
        for (head, about, kind) in [
            (
                "-tb,   --threads-batch N",
                "number of threads to use (default: same as --threads)",
                Type::Integer,
            ),
            (
                "--yarn-orig-ctx N",
                "original context size (default: 0 = model training context)",
                Type::Integer,
            ),
            ("-fitc, --fit-ctx N", "minimum ctx size, default: 4096 (env: X)", Type::Integer),
            ("--sleep-idle-seconds SECONDS", "seconds (default: -1; -1 = disabled)", Type::Integer),
            (
                "-sps,  --slot-prompt-similarity SIMILARITY",
                "how much (default: 0.10, 0.0 = disabled)",
                Type::Number,
            ),
            ("-ts,   --tensor-split N0,N1,N2,...", "fraction of the model, comma-separated", Type::Number),
            ("--rope-scale N", "RoPE context scaling factor", Type::Number),
            ("-j,    --json-schema SCHEMA", "JSON schema to constrain generations", Type::Json),
            ("--log-file FNAME", "Log to file", Type::Text),
        ] {
            let pad = " ".repeat(40);
            assert_eq!(one(&format!("{head}\n{pad}{about}")).kind, kind, "{head}");
        }
    }
}
