//! Secrets: which values are, and how each reaches its engine without standing in an argument, a record or a log.
use crate::argument::Argument;
use crate::arguments::Arguments;
use crate::login::logins;
use crate::secret_name::{is_name, leaves};
use base16ct::lower::encode_string as hex;
use engine::{ListSyntax, Profile};
use failure::{Code, Failure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The file below the state directory that carries secrets for which an engine has no variable.
pub(crate) const CONFIG_FILE: &str = "config.yaml";

/// How a secret reaches the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// By a variable of its environment.
    Variable(String),
    /// By a line of its configuration file, under this flag.
    Line(String),
    /// By a file of the operator's own, from which we only read the API key.
    KeyFile(PathBuf),
}

/// One secret. There is no `Debug`: it is not for anybody's log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    /// `server.NAME`, `env.NAME` or `extra_args.--flag`.
    pub(crate) name: String,
    pub(crate) way: Delivery,
    pub(crate) values: Vec<String>,
    /// It is what clients of the engine present.
    pub(crate) api_key: bool,
}

/// Take the secrets out of arguments and environment.
pub(crate) fn take(
    arguments: &mut Arguments,
    env: &mut Vec<(String, String)>,
    profile: &Profile,
) -> Result<Vec<Secret>, Failure> {
    let mut secrets = Vec::new();
    let is_secret = |argument: &Argument| {
        let called = is_name(dotted(argument).unwrap_or(&argument.flag));
        let named = called && !argument.number && !argument.values.is_empty();
        let within = |value: &String| !leaves(value).is_empty() || !logins(value).is_empty();
        argument.holds_secret || named || argument.values.iter().any(within)
    };
    for list in [&mut arguments.written, &mut arguments.extra] {
        for argument in list.extract_if(.., |argument| is_secret(argument)) {
            secrets.push(of_argument(argument, profile)?);
        }
    }
    if let Some(file) = arguments.all("api-key-file").next_back()
        && let Some(path) = file.values.first()
    {
        let (name, way) = (file.name.clone(), Delivery::KeyFile(path.into()));
        secrets.push(Secret { name, way, values: Vec::new(), api_key: true });
    }
    for (name, value) in env.extract_if(.., |(name, value)| is_name(name) || !logins(value).is_empty()) {
        let api_key = profile.key_variable() == Some(name.as_str());
        let way = Delivery::Variable(name.clone());
        secrets.push(Secret { name: format!("env.{name}"), way, values: vec![value], api_key });
    }
    let unspeakable =
        |secret: &&Secret| secret.api_key && secret.values.iter().any(|v| v.contains(char::is_control));
    match secrets.iter().find(unspeakable) {
        None => Ok(secrets),
        Some(secret) => {
            let cause = "it holds a line break or another control character, which no request can carry";
            Err(Failure::new(Code::Input, format!("secret {}", secret.name), cause))
        }
    }
}

/// Four hexadecimal digits that change with the values: a check that gives away 16 bits, whatever it is compared with.
pub(crate) fn check(secrets: &[Secret]) -> Option<String> {
    let mut hasher = Sha256::new();
    for secret in secrets.iter().filter(|secret| !secret.values.is_empty()) {
        for part in std::iter::once(&secret.name).chain(&secret.values) {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
    }
    let holds = secrets.iter().any(|secret| !secret.values.is_empty());
    holds.then(|| hex(&hasher.finalize()[..2]))
}

/// The name of one key of a JSON option, `additional-config.my_token`, where the argument is no whole option.
fn dotted(argument: &Argument) -> Option<&str> {
    let typed = argument.tokens.first()?.split('=').next()?;
    typed.strip_prefix("--").filter(|name| name.contains('.'))
}

fn of_argument(argument: Argument, profile: &Profile) -> Result<Secret, Failure> {
    let line = dotted(&argument).unwrap_or(&argument.flag).to_owned();
    let Argument { flag, name, mut values, .. } = argument;
    let variable = profile.secret_variables.iter().find(|(known, _)| *known == flag).map(|(_, name)| *name);
    if profile.list_of(&flag) == ListSyntax::Comma {
        values = vec![values.join(",")];
    }
    let way = match (variable, profile.config_file) {
        (Some(variable), _) if values.len() == 1 => Delivery::Variable(variable.to_owned()),
        (_, Some(_)) => Delivery::Line(line),
        _ => {
            let cause = "this engine takes it only on its command line, where everybody can read it";
            let hint = "give it by a file or by a variable in [instance.NAME.env], if the engine knows one";
            return Err(Failure::new(Code::Input, format!("secret {name}"), cause).hint(hint));
        }
    };
    Ok(Secret { name, way, values, api_key: flag == "api-key" })
}

/// Put our configuration file in the place of the operator's own, or behind the written arguments. Gives his back.
pub(crate) fn point_to_config(
    arguments: &mut Arguments,
    profile: &Profile,
    state_dir: &Path,
) -> Result<Option<PathBuf>, Failure> {
    let Some(flag) = profile.config_file else { return Ok(None) };
    let ours = state_dir.join(CONFIG_FILE).display().to_string();
    let tokens = vec![format!("--{flag}"), ours];
    let theirs: Vec<&mut Argument> =
        arguments.written.iter_mut().chain(&mut arguments.extra).filter(|a| a.flag == flag).collect();
    if theirs.len() > 1 {
        let what = format!("--{flag} is there {} times", theirs.len());
        return Err(Failure::new(Code::Input, what, "the engine takes one configuration file only"));
    }
    let Some(argument) = theirs.into_iter().next() else {
        let (flag, name) = (flag.to_owned(), format!("server.{flag}"));
        arguments.written.push(Argument {
            flag,
            name,
            place: None,
            tokens,
            values: Vec::new(),
            holds_secret: false,
            number: false,
        });
        return Ok(None);
    };
    let path = argument.values.first().map(PathBuf::from);
    argument.tokens = tokens;
    match path {
        Some(path) if path.is_absolute() => Ok(Some(path)),
        _ => {
            let what = format!("the path given by --{flag} is not absolute");
            Err(Failure::new(Code::Input, what, "its lines go into a file of ours, with the secrets"))
        }
    }
}

/// What the configuration file holds: the operator's own lines, then ours.
pub(crate) fn config_text(secrets: &[Secret], theirs: Option<&str>) -> String {
    let mut text = theirs.unwrap_or_default().to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (at, secret) in secrets.iter().enumerate() {
        let Delivery::Line(flag) = &secret.way else { continue };
        let again = |later: &Secret| later.way == secret.way;
        if secrets[at + 1..].iter().any(again) {
            continue;
        }
        // A JSON string, or a list of them, is YAML as it stands.
        let value = match &secret.values[..] {
            [value] => serde_json::Value::from(value.as_str()),
            values => serde_json::Value::from(values),
        };
        text.push_str(&format!("{flag}: {value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_file_keeps_the_operators_lines_and_the_last_of_each_secret() {
        let line = |values: &[&str]| Secret {
            name: "server.api_key".to_owned(),
            way: Delivery::Line("api-key".to_owned()),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            api_key: true,
        };
        let text = config_text(&[line(&["old"]), line(&["a\"b: #c"])], Some("tp-size: 8"));
        assert_eq!(text, "tp-size: 8\napi-key: \"a\\\"b: #c\"\n");
        assert_eq!(config_text(&[line(&["a", "b"])], None), "api-key: [\"a\",\"b\"]\n");
    }
}
