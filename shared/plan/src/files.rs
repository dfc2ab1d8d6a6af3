//! Files and folders that arguments name: they have to be there, and readable for the instance's user, before it starts.
use crate::argument::{Argument, Refusal};
use crate::arguments::Arguments;
use child::{User, permitted};
use engine::{FileSyntax, Profile};
use rustix::fs::Access;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// Those that could not be used.
pub(crate) fn missing(arguments: &Arguments, profile: &Profile, user: Option<&User>) -> Vec<Refusal> {
    let mut found = Vec::new();
    for argument in arguments.written.iter().chain(&arguments.extra) {
        let Some((_, names)) = profile.files.iter().find(|(flag, _)| *flag == argument.flag) else {
            continue;
        };
        for path in named(argument, *names) {
            // Servers run in the outermost folder.
            let path = Path::new("/").join(path);
            if let Err(error) = usable(&path, *names, user) {
                found.push(refusal(argument, &path, &error));
            }
        }
    }
    found
}

fn refusal(argument: &Argument, path: &Path, error: &io::Error) -> Refusal {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "let its user read it, or name another",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::NotADirectory => "name a folder",
        _ => "correct it, or mount it there",
    };
    let said = failure::io_text(error);
    let cause = format!("{}: {}: {said}", argument.name, path.display());
    Refusal { place: argument.place, cause, hint: Some(hint.to_owned()) }
}

/// Whether it is there, of the right kind and readable: asked with the user's rights.
pub(crate) fn usable(path: &Path, names: FileSyntax, user: Option<&User>) -> io::Result<()> {
    let look = || {
        let is_folder = owner::metadata(path)?.is_dir();
        match (names, is_folder) {
            (FileSyntax::Folder, false) => return Err(Errno::NOTDIR.into()),
            (FileSyntax::File | FileSyntax::Files | FileSyntax::Scaled, true) => {
                return Err(Errno::ISDIR.into());
            }
            _ => {}
        }
        let wanted = if is_folder { Access::READ_OK | Access::EXEC_OK } else { Access::READ_OK };
        permitted(path, wanted).map_err(io::Error::from)
    };
    match user {
        // A caller who may not become that user cannot start it either: reported elsewhere.
        Some(user) => user.act(look).unwrap_or(Ok(())),
        None => look(),
    }
}

/// The paths in an argument's values.
fn named(argument: &Argument, names: FileSyntax) -> Vec<PathBuf> {
    let values = argument.values.iter().map(String::as_str);
    let parts = || argument.values.iter().flat_map(|value| value.split(',')).filter(|part| !part.is_empty());
    match names {
        FileSyntax::File | FileSyntax::Folder => {
            values.filter(|value| !value.is_empty()).map(PathBuf::from).collect()
        }
        FileSyntax::Files => parts().map(PathBuf::from).collect(),
        FileSyntax::Scaled => {
            parts().map(|part| part.rsplit_once(':').map_or(part, |(path, _)| path).into()).collect()
        }
        FileSyntax::Maybe => values.filter(|value| is_path(value)).map(PathBuf::from).collect(),
        FileSyntax::Within => values.flat_map(within).collect(),
    }
}

/// A template or a name of the engine's own begins otherwise.
fn is_path(value: &str) -> bool {
    value.starts_with('/') && !value.contains(['{', '\n'])
}

/// `/path`, `name=/path`, or JSON with a path under one of the names that engines have for it.
fn within(value: &str) -> Vec<PathBuf> {
    if let Ok(json @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) =
        serde_json::from_str(value)
    {
        let objects = match &json {
            serde_json::Value::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        let paths =
            objects.into_iter().flat_map(|object| ["path", "lora_path", "model"].map(|key| object.get(key)));
        let paths = paths.flatten().filter_map(serde_json::Value::as_str);
        return paths.filter(|path| is_path(path)).map(PathBuf::from).collect();
    }
    let path = value.split_once('=').map_or(value, |(_, path)| path);
    if is_path(path) { vec![path.into()] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extra::parse_tokens;
    use record::Engine::{LlamaCpp, Sglang, Vllm};

    #[test]
    fn paths_are_found_in_each_way_of_naming_them() {
        for (engine, line, expected) in [
            (LlamaCpp, vec!["--lora", "/a,/b", "--lora-scaled", "/c:0.5,/d:2"], vec!["/a", "/b", "/c", "/d"]),
            (LlamaCpp, vec!["-mm", "/p", "-md", "/q", "--models-dir", "/r"], vec!["/p", "/q", "/r"]),
            (LlamaCpp, vec!["--chat-template-file", "t.jinja", "--log-file", "/l"], vec!["t.jinja"]),
            (
                Vllm,
                vec!["--lora-modules", "a=/a", r#"{"name":"b","path":"/b"}"#, "c=org/c"],
                vec!["/a", "/b"],
            ),
            (Vllm, vec!["--chat-template", "/t.jinja", "--ssl-keyfile=/k"], vec!["/t.jinja", "/k"]),
            (Vllm, vec!["--chat-template", "/{{ messages }}"], vec![]),
            (Vllm, vec!["--speculative-config", r#"{"model":"/draft","method":"eagle"}"#], vec!["/draft"]),
            (
                Sglang,
                vec!["--lora-paths", "/a", "b=/b", r#"{"lora_name":"c","lora_path":"/c"}"#],
                vec!["/a", "/b", "/c"],
            ),
            (Sglang, vec!["--chat-template", "chatml"], vec![]),
        ] {
            let profile = engine::of(engine);
            let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
            let mut found = Vec::new();
            for argument in parse_tokens(&words, profile) {
                let names = profile.files.iter().find(|(flag, _)| *flag == argument.flag);
                found.extend(names.map(|(_, names)| named(&argument, *names)).unwrap_or_default());
            }
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(found, expected, "{line:?}");
        }
    }
}
