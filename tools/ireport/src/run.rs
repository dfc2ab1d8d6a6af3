//! The stream of one run, as a report needs it: every record with all its members, those of newer versions too, and nothing
//! secret in them.
use crate::redact;
use record::{Error, Reader};
use serde_json::{Map, Value};
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use tool::{Code, Failure, Outcome};

/// The largest file that is read, in bytes: no stream of a run comes near it.
const LONGEST: usize = 1 << 30;

/// The records of a run, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) entries: Vec<Entry>,
    /// Why the rest could not be read.
    pub(crate) damage: Option<String>,
}

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    members: Map<String, Value>,
    /// Whether this version knows its kind.
    pub(crate) known: bool,
}

impl Run {
    /// Read a file that the operator names.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Failure> {
        let cannot =
            |error: &io::Error| Failure::io(Code::Unmet, format!("cannot read {}", path.display()), error);
        // A kept stream is its user's: root reads it with that user's rights.
        let stream = owner::read_named(path, LONGEST).map_err(|error| cannot(&error))?;
        let run = Self::read(stream.as_slice()).map_err(|error| cannot(&error))?;
        log::info!("read {} records of {}", run.entries.len(), path.display());
        Ok(run)
    }

    /// Read standard input.
    pub(crate) fn of_stdin() -> Result<Self, Failure> {
        if io::stdin().is_terminal() {
            let failure = Failure::new(Code::Usage, "standard input is a terminal", "nothing to read");
            return Err(failure.hint("name a file that INFER_DEV_KEEP made, or pipe a stream in"));
        }
        let failure = |error: io::Error| Failure::io(Code::Input, "cannot read standard input", &error);
        Self::read(io::stdin().lock()).map_err(failure)
    }

    /// Read to the end, or to the first line that is not a record: a boot that was killed leaves half of one.
    fn read(input: impl BufRead) -> io::Result<Self> {
        let mut run = Self::default();
        let mut reader = Reader::new(input);
        loop {
            match reader.read() {
                Ok(Some(line)) => {
                    let members = serde_json::from_slice(&line.raw).ok();
                    let known = line.record.is_some();
                    run.entries.extend(members.map(|members| Entry { members: redact::of(members), known }));
                }
                Ok(None) => return Ok(run),
                Err(Error::Read(error)) => return Err(error),
                Err(Error::Malformed { number, cause }) => {
                    run.damage = Some(format!("line {number} is not a record: {cause}"));
                    return Ok(run);
                }
            }
        }
    }

    /// Append another part of the same run.
    pub(crate) fn add(&mut self, part: Self) {
        self.entries.extend(part.entries);
        self.damage = self.damage.take().or(part.damage);
    }

    /// All records of a kind.
    pub(crate) fn all(&self, kind: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind() == kind)
    }

    /// What the tools of the run exited with: the code of its first `failed`.
    pub(crate) fn code(&self) -> u8 {
        let code = self.all("failed").next().and_then(|failed| failed.value("code")?.as_u64());
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(0)
    }

    /// The same for the last tool of a pipe.
    pub(crate) fn outcome(&self) -> Outcome {
        outcome(self.code())
    }
}

/// How the last tool of a pipe ends, of whose stream this is the code.
pub(crate) fn outcome(code: u8) -> Outcome {
    match code {
        0 => Outcome::Done,
        code => Outcome::Child(code),
    }
}

impl Entry {
    pub(crate) fn kind(&self) -> &str {
        self.value("kind").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// A member as text; empty where it is absent.
    pub(crate) fn text(&self, name: &str) -> String {
        self.value(name).map(shown).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.value(name)?.as_f64()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.value(name) == Some(&Value::Bool(true))
    }

    /// The texts of a list.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.value(name).and_then(Value::as_array).into_iter().flatten().map(shown).collect()
    }

    /// Names and values of an object, as texts.
    pub(crate) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let members = self.value(name).and_then(Value::as_object).into_iter().flatten();
        members.map(|(name, value)| (name.clone(), shown(value))).collect()
    }

    /// The engine and, where it is of one, the instance: `llama-cpp/tiny`.
    pub(crate) fn subject(&self) -> String {
        match (self.text("engine"), self.text("instance")) {
            (engine, instance) if instance.is_empty() => engine,
            (engine, instance) => format!("{engine}/{instance}"),
        }
    }
}

/// A value for a reader: a text without quotes, a list of texts with commas, anything else as JSON.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(words) if words.iter().all(Value::is_string) => {
            words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
