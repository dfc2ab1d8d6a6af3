//! One option.
use serde::{Deserialize, Serialize};

/// How many values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arity {
    /// None: it is a switch.
    Nothing,
    /// One or none.
    Optional,
    /// Exactly this many.
    Exactly(u32),
    /// One or more.
    Some,
    /// Any number.
    Any,
}

/// What a value is parsed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// A whole number.
    Integer,
    /// A whole number, or one with a unit such as `32k`.
    Count,
    /// A number.
    Number,
    /// JSON.
    Json,
    /// `true` or `false`, as a word.
    Boolean,
    /// Text.
    Text,
    /// Whatever a function of the engine's takes.
    Unknown,
}

/// How several values are given to an option that takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// Joined by commas.
    Comma,
    /// Joined by semicolons.
    Semicolon,
    /// The option once for each.
    Repeat,
}

/// One option under all its spellings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// As typed, dashes included; the first is what the engine shows first.
    pub spellings: Vec<String>,
    /// The spellings that turn it off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub negative: Vec<String>,
    /// How many values it takes.
    pub takes: Arity,
    /// What they are parsed as.
    #[serde(rename = "type")]
    pub kind: Type,
    /// How several are given, where the engine says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<List>,
    /// The values that it takes, where they are a closed set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// What the engine takes where it is not given, as it shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The engine warns about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// The engine knows it only to refuse it: what it says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
}

impl Flag {
    /// The name by which messages call it: its first long spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        let long = self.spellings.iter().find(|spelling| spelling.starts_with("--"));
        long.or(self.spellings.first()).map_or("", String::as_str)
    }

    /// Whether its values are numbers.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self.kind, Type::Integer | Type::Count | Type::Number)
    }

    /// Whether it takes whole numbers beside a closed set of words.
    #[must_use]
    pub fn takes_numbers_too(&self) -> bool {
        self.kind == Type::Integer && self.choices.iter().all(|choice| choice.parse::<i64>().is_err())
    }

    /// What a value of it is called on a command line, for a person.
    #[must_use]
    pub fn shown_values(&self) -> String {
        if !self.choices.is_empty() {
            let number = if self.takes_numbers_too() { "N|" } else { "" };
            return format!("{number}{}", self.choices.join("|"));
        }
        let word = match self.kind {
            Type::Integer | Type::Count => "N",
            Type::Number => "NUMBER",
            Type::Json => "JSON",
            Type::Boolean => "true|false",
            Type::Text | Type::Unknown => "VALUE",
        };
        match self.takes {
            Arity::Nothing => String::new(),
            Arity::Optional => format!("[{word}]"),
            Arity::Exactly(count) => vec![word; count as usize].join(" "),
            Arity::Some => format!("{word}..."),
            Arity::Any => format!("[{word}...]"),
        }
    }
}
