//! The text of `llama-server --help`.
//!
//! Written by llama.cpp's common/arg.cpp: the spellings, those that turn the option off last, then what its value is called;
//! from column 40 on, or on the lines below, what it means. `(default: X)`, `allowed values: a, b` and how several values are
//! given stand in that text.
use crate::meaning::{choices, default_of, kind, list};
use crate::{Arity, Flag};

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
        let list = list(&value, &flat, &spellings);
        let choices = choices(&value, about, default.as_deref());
        let takes = match value.split_whitespace().count() {
            0 => Arity::Nothing,
            // A name of several words is one value, unless it is a row of plain names.
            count if value.split_whitespace().all(|word| word.chars().all(char::is_uppercase)) => {
                Arity::Exactly(u32::try_from(count).unwrap_or(1))
            }
            _ => Arity::Exactly(1),
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{List, Type};

    pub(crate) fn one(text: &str) -> Flag {
        let mut flags = read(text);
        assert_eq!(flags.len(), 1, "{text}");
        flags.remove(0)
    }

    #[test]
    fn spellings_end_where_the_value_begins() {
        let flag = one("-t,    --threads N                      number of threads (default: -1)");
        assert_eq!(
            (flag.spellings, flag.takes),
            (vec!["-t".to_owned(), "--threads".to_owned()], Arity::Exactly(1))
        );
        assert_eq!((flag.kind, flag.default.as_deref()), (Type::Integer, Some("-1")));
        let flag = one(
            "-hf,   -hfr, --hf-repo <user>/<model>[:quant]\n                                        a model",
        );
        assert_eq!((flag.spellings.len(), flag.takes), (3, Arity::Exactly(1)));
        let flag =
            one("--control-vector-layer-range START END\n                                        layers");
        assert_eq!(flag.takes, Arity::Exactly(2));
        let flag = one(
            "-ot,   --override-tensor <tensor name pattern>=<buffer type>,...\n                                        x",
        );
        assert_eq!((flag.takes, flag.list), (Arity::Exactly(1), Some(List::Comma)));
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
                (on, off, Arity::Nothing),
                "{head}"
            );
        }
    }
}
