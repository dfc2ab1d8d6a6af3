//! Writing an argument as the engine's own parser reads it back.
use crate::argument::{Argument, Dialect, Refusal, holds_secret, single};
use crate::typed::{self, TypedValue, ValueError};
use config::{Entry, Node, Value};
use engine::ListSyntax;
use record::Engine;
use vocabulary::{Arity, Flag, List, Parser, Type, Vocabulary};

/// One entry of `server`; `None` where it is written by leaving it out.
pub(crate) fn write(
    entry: &Entry,
    vocabulary: &Vocabulary,
    dialect: Dialect<'_>,
) -> Result<Option<Argument>, Refusal> {
    let refuse = |cause: String, hint: Option<String>| Refusal { place: Some(entry.place), cause, hint };
    let key = format!("server.{}", entry.key);
    // vLLM takes one key of a JSON option by itself, after a dot.
    let (head, subkey) = match entry.key.split_once('.') {
        Some((head, subkey)) if vocabulary.parser == Parser::Argparse => (head, Some(subkey)),
        _ => (entry.key.as_str(), None),
    };
    let typed = head.replace('_', "-");
    // A spelling of old that this version takes only as the beginning of a longer one, or that no parser lists.
    let ours = || {
        ["--", "-"]
            .iter()
            .find_map(|dashes| vocabulary.named(&dialect.profile.flag(&format!("{dashes}{typed}"))))
    };
    let Some((flag, positive)) = vocabulary.named(&typed).or_else(ours) else {
        return Err(refuse(format!("{key}: {}", unknown(dialect)), unknown_hint(head, vocabulary, dialect)));
    };
    if let Some(said) = &flag.removed {
        return Err(refuse(format!("{key}: this engine no longer has {}", flag.name()), Some(said.clone())));
    }
    let line = Line { flag, vocabulary, dialect, positive };
    let written = match subkey {
        Some(subkey) => line.dotted(subkey, &entry.node),
        None => line.write(&entry.node),
    };
    let written = written.map_err(|ValueError { cause, hint }| refuse(format!("{key}: {cause}"), hint))?;
    Ok(written.map(|(tokens, values)| Argument {
        flag: canonical(flag, dialect),
        name: key,
        place: Some(entry.place),
        tokens,
        values,
        holds_secret: holds_secret(&entry.node),
        number: flag.is_number(),
    }))
}

/// The name by which planning asks for a flag: the one of our table where it has one.
pub(crate) fn canonical(flag: &Flag, dialect: Dialect<'_>) -> String {
    let plain = |spelling: &String| spelling.trim_start_matches('-').replace('_', "-");
    let known =
        flag.spellings.iter().map(|s| (dialect.profile.flag(s), plain(s))).find(|(ours, s)| ours != s);
    let ours = flag.spellings.iter().map(plain).find(|name| dialect.profile.names(name));
    ours.or(known.map(|(ours, _)| ours)).unwrap_or_else(|| plain(&flag.name().to_owned()))
}

/// What is said of a flag that the engine has not.
pub(crate) fn unknown(dialect: Dialect<'_>) -> String {
    format!("this {} has no such flag", dialect.profile.log_prefix)
}

/// Where it went, else what is spelt like it.
pub(crate) fn unknown_hint(key: &str, vocabulary: &Vocabulary, dialect: Dialect<'_>) -> Option<String> {
    let name = key.trim_start_matches('-').replace('_', "-");
    let ours = dialect.profile.model;
    // Every engine names its model otherwise; what is spelt like another's is not what is meant.
    let is_model =
        || [Engine::LlamaCpp, Engine::Vllm, Engine::Sglang].map(|e| engine::of(e).model).contains(&&*name);
    if name != ours && is_model() && vocabulary.named(ours).is_some() {
        return Some(format!("did you mean {}?", ours.replace('-', "_")));
    }
    let went = dialect.profile.successors.iter().find(|(gone, _)| *gone == name);
    let near = || {
        Some(format!("did you mean {}?", vocabulary.nearest(key)?.trim_start_matches('-').replace('-', "_")))
    };
    went.map(|(_, hint)| (*hint).to_owned()).or_else(near)
}

type Written = Option<(Vec<String>, Vec<String>)>;

/// One flag that is to be written.
struct Line<'a> {
    flag: &'a Flag,
    vocabulary: &'a Vocabulary,
    dialect: Dialect<'a>,
    /// The key is a spelling that turns the flag on, not one that turns it off.
    positive: bool,
}

impl Line<'_> {
    fn write(&self, node: &Node) -> Result<Written, ValueError> {
        match (&node.value, self.flag.takes) {
            (Value::Null, _) => Ok(None),
            (Value::Flag(on), Arity::Nothing) => self.switch(*on),
            (_, Arity::Nothing) => Err(self.wrong("it takes no value", "set it to true or false")),
            (Value::Flag(on), _) => self.boolean(*on),
            (Value::List(nodes), _) if nodes.is_empty() => Ok(None),
            (Value::List(nodes), _) => self.list(node, nodes).map(Some),
            _ => {
                let word = self.word(node)?;
                Ok(Some((self.pair(&word), vec![word])))
            }
        }
    }

    fn switch(&self, on: bool) -> Result<Written, ValueError> {
        if on == self.positive {
            return Ok(Some((vec![self.flag.name().to_owned()], Vec::new())));
        }
        let long = self.flag.negative.iter().find(|spelling| spelling.starts_with("--"));
        let by_default = matches!(self.flag.default.as_deref(), Some("true" | "enabled"));
        match long.or(self.flag.negative.first()) {
            Some(no) => Ok(Some((vec![no.clone()], Vec::new()))),
            None if by_default => {
                Err(self.wrong("it is on by default and cannot be turned off", "leave it out"))
            }
            None => Ok(None),
        }
    }

    /// A boolean where a value is wanted: the word that stands for it, never a bare flag that swallows the next one.
    fn boolean(&self, on: bool) -> Result<Written, ValueError> {
        let words = [("on", "off"), ("1", "0"), ("true", "false"), ("True", "False"), ("yes", "no")];
        let known = |word: &str| self.flag.choices.iter().any(|choice| choice == word);
        let pair = words.iter().find(|(yes, no)| known(yes) && known(no));
        let (yes, no) = match (pair, self.flag.kind) {
            (Some(pair), _) => *pair,
            (None, Type::Boolean | Type::Json) if self.flag.choices.is_empty() => ("true", "false"),
            (None, _) if self.flag.takes == Arity::Optional => {
                return Ok(on.then(|| (vec![self.flag.name().to_owned()], Vec::new())));
            }
            _ => return Err(self.wrong("it takes a value, not true or false", &self.takes_hint())),
        };
        let word = if on { yes } else { no };
        Ok(Some((self.pair(word), vec![word.to_owned()])))
    }

    fn list(&self, node: &Node, nodes: &[Node]) -> Result<(Vec<String>, Vec<String>), ValueError> {
        if self.flag.kind == Type::Json && self.flag.takes == Arity::Exactly(1) && self.flag.list.is_none() {
            let json = node.value.json();
            return Ok((self.pair(&json), vec![json]));
        }
        let values: Vec<String> = nodes.iter().map(|node| self.word(node)).collect::<Result<_, _>>()?;
        let by_engine = self.flag.list.or_else(|| self.by_table());
        match (self.flag.takes, by_engine) {
            _ if self.dialect.repeat => Ok((self.repeated(&values), values)),
            (Arity::Some | Arity::Any, _) => self.many(values),
            (Arity::Exactly(count), _) if count > 1 => match values.len() == count as usize {
                true => self.many(values),
                false => {
                    Err(self
                        .wrong(&format!("it takes {count} values, not {}", values.len()), &self.takes_hint()))
                }
            },
            (_, Some(List::Repeat)) => Ok((self.repeated(&values), values)),
            (_, Some(List::Comma)) => self.joined(values, ','),
            (_, Some(List::Semicolon)) => self.joined(values, ';'),
            (_, None) if values.len() == 1 => Ok((self.pair(&values[0]), values)),
            (_, None) => Err(self.wrong(
                &format!("it takes one value, not {}", values.len()),
                "write it as one string, as the engine reads it",
            )),
        }
    }

    /// What no parser says, our table does.
    fn by_table(&self) -> Option<List> {
        let name = canonical(self.flag, self.dialect);
        let (_, lists) = self.dialect.profile.other_lists.iter().find(|(flag, _)| *flag == name)?;
        match lists {
            ListSyntax::Comma => Some(List::Comma),
            ListSyntax::Repeat => Some(List::Repeat),
            ListSyntax::Values | ListSyntax::Json => None,
        }
    }

    fn repeated(&self, values: &[String]) -> Vec<String> {
        values.iter().flat_map(|value| self.pair(value)).collect()
    }

    fn joined(&self, values: Vec<String>, separator: char) -> Result<(Vec<String>, Vec<String>), ValueError> {
        if let Some(value) = values.iter().find(|value| value.contains(separator)) {
            let cause = format!("'{value}' holds the '{separator}' that this engine puts between values");
            return Err(self.wrong(&cause, "write the whole list as one string, as the engine reads it"));
        }
        let word = values.join(&separator.to_string());
        Ok((self.pair(&word), values))
    }

    /// One flag and all its values.
    fn many(&self, values: Vec<String>) -> Result<(Vec<String>, Vec<String>), ValueError> {
        if let [value] = &values[..] {
            return Ok((self.pair(value), values));
        }
        if let Some(value) = values.iter().find(|value| self.looks_like_a_flag(value)) {
            let cause = format!("'{value}' would be read as a flag");
            return Err(self.wrong(&cause, "this engine takes no value that begins with '-' in a list"));
        }
        let flag = self.flag.name().to_owned();
        Ok((std::iter::once(flag).chain(values.iter().cloned()).collect(), values))
    }

    fn pair(&self, value: &str) -> Vec<String> {
        self.tokens(self.flag.name(), value)
    }

    fn tokens(&self, name: &str, value: &str) -> Vec<String> {
        match self.looks_like_a_flag(value) {
            true => vec![format!("{name}={value}")],
            false => vec![name.to_owned(), value.to_owned()],
        }
    }

    /// argparse takes what begins with a minus for a flag, plain numbers excepted. llama.cpp takes what follows a flag.
    fn looks_like_a_flag(&self, value: &str) -> bool {
        let whole = |number: &str| number.bytes().all(|byte| byte.is_ascii_digit());
        let a_value: fn(&str) -> bool = match self.dialect.profile.fraction_is_option {
            true => whole,
            false => typed::plain_number,
        };
        self.vocabulary.parser == Parser::Argparse
            && value.len() > 1
            && value.starts_with('-')
            && !a_value(&value[1..])
    }

    fn dotted(&self, subkey: &str, node: &Node) -> Result<Written, ValueError> {
        if self.flag.kind != Type::Json && self.flag.kind != Type::Unknown {
            return Err(self.wrong("it is no JSON option, and has no keys of its own", &self.takes_hint()));
        }
        let name = format!("{}.{subkey}", self.flag.name());
        let word = match &node.value {
            Value::Null => return Ok(None),
            _ => single(node),
        };
        Ok(Some((self.tokens(&name, &word), vec![word])))
    }

    fn word(&self, node: &Node) -> Result<String, ValueError> {
        let word = match &node.value {
            Value::Number(number) => TypedValue::Number(number),
            Value::Text(text) => TypedValue::Text(text),
            Value::Flag(_) | Value::List(_) | Value::Table(_) | Value::Null => {
                TypedValue::Json(node.value.json())
            }
        };
        typed::checked(self.flag, self.vocabulary.parser, &word)
    }

    fn wrong(&self, cause: &str, hint: &str) -> ValueError {
        ValueError { cause: cause.to_owned(), hint: Some(hint.to_owned()) }
    }

    fn takes_hint(&self) -> String {
        format!("it takes {}", self.flag.shown_values())
    }
}
