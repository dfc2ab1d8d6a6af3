//! JSON Schemas: of an engine's TOML file, and of the records.
use record::Engine;

/// What `--schema` takes beside the engines.
const RECORDS: &str = "records";

/// Whose schema is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    Toml(Engine),
    Records,
}

/// What a shell offers.
pub(crate) fn names() -> Vec<String> {
    Engine::ENGINES.map(Engine::id).into_iter().chain([RECORDS]).map(str::to_owned).collect()
}

/// A subject by its word on the command line.
pub(crate) fn named(word: &str) -> Result<Subject, String> {
    match Engine::ENGINES.into_iter().find(|engine| engine.id() == word) {
        Some(engine) => Ok(Subject::Toml(engine)),
        None if word == RECORDS => Ok(Subject::Records),
        None => Err(format!("there are schemas of {}", names().join(", "))),
    }
}

/// The schema, as a file of it is written.
pub(crate) fn of(subject: Subject) -> String {
    let schema = match subject {
        Subject::Records => record::schema(),
        Subject::Toml(engine) => config::schema(engine).unwrap_or_default(),
    };
    format!("{schema:#}\n")
}
