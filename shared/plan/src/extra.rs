//! `extra_args`: taken apart into flags and their values; every token stays as it is.
use crate::argument::{Argument, Dialect, Refusal};
use crate::by_vocabulary::{canonical, unknown, unknown_hint};
use config::{ExtraArgument, Place};
use engine::Profile;
use vocabulary::{Arity, Flag, Vocabulary};

/// Split the arguments into flags and values. A flag that the engine has not is refused where its vocabulary is known.
pub(crate) fn parse(
    words: &[ExtraArgument],
    dialect: Dialect<'_>,
    refusals: &mut Vec<Refusal>,
) -> Vec<Argument> {
    let mut arguments: Vec<Argument> = Vec::new();
    for word in words {
        let is_flag = looks_like_a_flag(&word.text);
        match arguments.last_mut() {
            Some(last) if !is_flag || wants_a_value(last, dialect) => {
                last.tokens.push(word.text.clone());
                last.values.push(word.text.clone());
            }
            _ => {
                if is_flag {
                    refusals.extend(refused(word, dialect));
                }
                arguments.push(begin(word, is_flag, dialect));
            }
        }
    }
    arguments
}

/// A whole command line that was written before, taken apart by our table of the engine's flags.
pub(crate) fn parse_tokens(tokens: &[String], profile: &'static Profile) -> Vec<Argument> {
    let word = |token: &String| ExtraArgument { text: token.clone(), place: Place::Overrides };
    let words: Vec<ExtraArgument> = tokens.iter().map(word).collect();
    parse(&words, Dialect { profile, vocabulary: None, repeat: false }, &mut Vec::new())
}

fn looks_like_a_flag(token: &str) -> bool {
    token.len() > 1 && token.starts_with('-') && token.parse::<f64>().is_err()
}

fn begin(word: &ExtraArgument, is_flag: bool, dialect: Dialect<'_>) -> Argument {
    let token = word.text.as_str();
    let typed = token.split('=').next().unwrap_or(token);
    let known = dialect.vocabulary.and_then(|vocabulary| find(vocabulary, typed, dialect.profile));
    let flag = match known {
        _ if !is_flag => String::new(),
        Some(flag) => canonical(flag, dialect),
        None => dialect.profile.flag(token),
    };
    let number = known.is_some_and(Flag::is_number);
    let values = token.split_once('=').map(|(_, value)| value.to_owned()).into_iter().collect();
    let (name, tokens) = (format!("extra_args.{typed}"), vec![token.to_owned()]);
    Argument { flag, name, place: Some(word.place), tokens, values, holds_secret: false, number }
}

/// Whether the next argument is the value of this flag whatever it begins with: a secret's, or one that llama.cpp's parser takes
/// so.
fn wants_a_value(last: &Argument, dialect: Dialect<'_>) -> bool {
    let bare = last.tokens.len() == 1 && last.values.is_empty();
    let by_vocabulary = || {
        let vocabulary = dialect.vocabulary.filter(|v| v.parser == vocabulary::Parser::LlamaCpp)?;
        let flag = find(vocabulary, last.tokens.first()?, dialect.profile)?;
        Some(matches!(flag.takes, Arity::Exactly(_)))
    };
    bare && (crate::secret_name::is_name(&last.flag) || by_vocabulary().unwrap_or(false))
}

fn refused(word: &ExtraArgument, dialect: Dialect<'_>) -> Option<Refusal> {
    let vocabulary = dialect.vocabulary?;
    let typed = word.text.split('=').next().unwrap_or(&word.text);
    let found = find(vocabulary, typed, dialect.profile);
    let said = found.and_then(|flag| flag.removed.clone());
    if found.is_some() && said.is_none() {
        return None;
    }
    let cause = format!("extra_args: {typed}: {}", unknown(dialect));
    let hint = said.or_else(|| unknown_hint(typed, vocabulary, dialect));
    Some(Refusal { place: Some(word.place), cause, hint })
}

/// By its spelling, that of its opposite, the part before a dot, as argparse takes it shortened, one that our table alone has
/// (vLLM's `-O`), or either of these with a value right behind one letter (`-O3`).
pub(crate) fn find<'v>(
    vocabulary: &'v Vocabulary,
    typed: &str,
    profile: &'static Profile,
) -> Option<&'v Flag> {
    let head = typed.split_once('.').map_or(typed, |(head, _)| head);
    let ours = |spelling: &str| {
        let (_, flag) = profile.spellings.iter().find(|(known, _)| *known == spelling)?;
        vocabulary.find(&format!("--{flag}"))
    };
    let attached = || {
        let short = typed.get(..2).filter(|_| !typed.starts_with("--"))?;
        vocabulary.find(short).or_else(|| ours(short))
    };
    let found = vocabulary.find(head).or_else(|| vocabulary.find_negative(head));
    found.or_else(|| vocabulary.abbreviated(head)).or_else(|| match vocabulary.parser {
        vocabulary::Parser::Argparse => ours(head).or_else(attached),
        vocabulary::Parser::LlamaCpp => None,
    })
}
