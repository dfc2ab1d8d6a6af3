//! Whether an engine's parser takes a value, and how it wants it written.
use vocabulary::{Flag, List, Parser, Type};

/// A value as the TOML file has it.
pub(crate) enum TypedValue<'a> {
    Number(&'a str),
    Text(&'a str),
    /// A list, a table or a boolean where one word is wanted.
    Json(String),
}

/// Why a value cannot be written for a flag.
pub(crate) struct ValueError {
    pub(crate) cause: String,
    pub(crate) hint: Option<String>,
}

/// The value as this flag takes it.
pub(crate) fn checked(flag: &Flag, parser: Parser, word: &TypedValue<'_>) -> Result<String, ValueError> {
    let text = match (word, flag.kind) {
        (TypedValue::Json(json), Type::Json | Type::Unknown | Type::Text) if flag.choices.is_empty() => {
            return Ok(json.clone());
        }
        (TypedValue::Json(json), _) => return Err(wrong(flag, json)),
        // llama.cpp reads 1e5 as 1.
        (TypedValue::Number(number), Type::Integer | Type::Count | Type::Unknown) => {
            whole(number).unwrap_or_else(|| (*number).to_owned())
        }
        (TypedValue::Number(number), _) if parser == Parser::LlamaCpp && number.contains(['e', 'E']) => {
            whole(number).unwrap_or_else(|| (*number).to_owned())
        }
        (TypedValue::Number(text) | TypedValue::Text(text), _) => (*text).to_owned(),
    };
    // A list may be written as the one string that the engine takes apart.
    let parts: Vec<&str> = match (flag.list, parser) {
        (Some(List::Comma), Parser::LlamaCpp) if !flag.choices.is_empty() => text.split(',').collect(),
        (Some(List::Comma), Parser::LlamaCpp) if flag.is_number() => text.split([',', '/']).collect(),
        _ => vec![&text],
    };
    let digits = parser == Parser::LlamaCpp && flag.takes_numbers_too();
    let is_choice = |part: &str| {
        let chosen = flag.choices.iter().any(|choice| choice == part);
        chosen || means_a_choice(flag, parser, part) || (digits && whole_digits(part))
    };
    if !flag.choices.is_empty() {
        return match parts.iter().find(|part| !is_choice(part)) {
            None => Ok(text),
            Some(part) => Err(no_choice(flag, part)),
        };
    }
    let is_good = |part: &&str| match flag.kind {
        Type::Integer => whole_digits(part),
        Type::Count => count(part),
        Type::Number => part.parse::<f64>().is_ok(),
        Type::Json => {
            serde_json::from_str::<serde_json::Value>(part).is_ok() || matches!(word, TypedValue::Number(_))
        }
        Type::Boolean | Type::Text | Type::Unknown => true,
    };
    if parts.iter().all(is_good) { Ok(text) } else { Err(wrong(flag, &text)) }
}

/// llama.cpp takes several words for on, off and auto (common/arg.cpp: is_truthy, is_falsey, is_autoy).
fn means_a_choice(flag: &Flag, parser: Parser, text: &str) -> bool {
    let words =
        [("on", &["enabled", "true", "1"][..]), ("off", &["disabled", "false", "0"]), ("auto", &["-1"])];
    let meant = words.iter().find(|(_, others)| others.contains(&text)).map(|(word, _)| *word);
    parser == Parser::LlamaCpp && meant.is_some_and(|word| flag.choices.iter().any(|choice| choice == word))
}

fn no_choice(flag: &Flag, text: &str) -> ValueError {
    let near = text::nearest(text, &flag.choices);
    let number = if flag.takes_numbers_too() { "a whole number, or " } else { "" };
    let set = format!("{number}one of {}; a newer engine may know it", flag.choices.join(", "));
    let hint = match near {
        Some(near) => format!("did you mean '{near}'? It is {set}"),
        None => format!("it is {set}"),
    };
    ValueError { cause: format!("'{text}' is no choice of {}", flag.name()), hint: Some(hint) }
}

fn wrong(flag: &Flag, text: &str) -> ValueError {
    let kind = match flag.kind {
        _ if !flag.choices.is_empty() => return no_choice(flag, text),
        Type::Integer => "a whole number",
        Type::Count => "a whole number, or one with a unit such as 32k",
        Type::Number => "a number",
        Type::Json => "JSON",
        Type::Boolean => "true or false",
        Type::Text | Type::Unknown => "a string",
    };
    ValueError {
        cause: format!("'{text}' is not {kind}"),
        hint: Some(format!("{} takes {kind}", flag.name())),
    }
}

/// A number without a fraction, in digits; `None` where it has one or is too large to be sure.
fn whole(number: &str) -> Option<String> {
    if whole_digits(number) {
        return Some(number.to_owned());
    }
    let value: f64 = number.parse().ok()?;
    // Up to here every whole number has a float of its own.
    (value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0).then(|| format!("{value:.0}"))
}

fn whole_digits(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// vLLM's and SGLang's human_readable_int: `32k`, `1.5M`, `4Ki`; and `auto`.
fn count(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    text == "auto" || whole_digits(number) || (number.len() < text.len() && plain_number(number))
}

/// Digits, with a point in them or not.
pub(crate) fn plain_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    !fraction.is_empty() && digits(whole) && digits(fraction) && (!whole.is_empty() || text.starts_with('.'))
}
