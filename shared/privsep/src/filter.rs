//! What may cross back from a process of another user, rebuilt field by field.
//!
//! Another process of that user may write into the pipe what it likes. So of all records only the few that this tool writes
//! for this engine cross; what a later tool of root's acts on is checked, and text is cut and cleaned.
use crate::text::{TEXT_BYTES, clean, is_deceptive};
use failure::{Code, Failure};
use record::{Activation, Engine, Failed, Installed, Record, Skipped, Source, Warmed, Warning};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

const WARNINGS: usize = 64;
const CHECKS: usize = 64;
const VARIABLES: usize = 4096;
const LOG_LINES: usize = 40;
/// Names, hashes, versions.
const WORD_BYTES: usize = 256;
/// All names and values of an environment.
const ENVIRONMENT_BYTES: usize = 512 << 10;

/// What one process may say: any number of warnings, then one record of its outcome.
pub struct RecordFilter<'a> {
    engine: Engine,
    pub(crate) by: &'static str,
    /// Where an install may be; none where none is made.
    roots: Option<&'a dyn Fn() -> Vec<PathBuf>>,
    warnings: usize,
    complete: bool,
}

impl std::fmt::Debug for RecordFilter<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RecordFilter")
            .field("engine", &self.engine)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

impl<'a> RecordFilter<'a> {
    /// `warmed`, `skipped` or `failed` of this engine, said by the tool of this name.
    #[must_use]
    pub fn new(engine: Engine, by: &'static str) -> Self {
        Self { engine, by, roots: None, warnings: 0, complete: false }
    }

    /// `installed`, `skipped` or `failed`. The install has to be below one of these folders, which are resolved when the record comes.
    #[must_use]
    pub fn of_install(engine: Engine, by: &'static str, roots: &'a dyn Fn() -> Vec<PathBuf>) -> Self {
        Self { roots: Some(roots), ..Self::new(engine, by) }
    }

    /// Whether it was said how it went.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The record that a line becomes; `None` for one that does not cross.
    pub(crate) fn admit(&mut self, line: &[u8]) -> Result<Option<Record>, Failure> {
        let text = std::str::from_utf8(line).map_err(|_| self.refused("a line that is not UTF-8"))?.trim();
        if text.is_empty() || self.complete {
            return Ok(None);
        }
        let record = Record::parse(text).map_err(|_| self.refused("a line that is not a record"))?;
        let crossed = match record {
            Some(Record::Warning(warning)) => {
                self.warnings += 1;
                return Ok((self.warnings <= WARNINGS).then(|| self.warning(&warning).into()));
            }
            Some(Record::Installed(it)) if it.engine == self.engine => self.installed(it)?.map(Record::from),
            Some(Record::Warmed(it)) if it.engine == self.engine && self.roots.is_none() => {
                Some(warmed(&it).into())
            }
            Some(Record::Skipped(it)) if it.engine == self.engine => Some(self.skipped(&it).into()),
            Some(Record::Failed(it)) if it.engine == self.engine => Some(self.failed(&it).into()),
            // What it was given and hands on, and what it has no business to say.
            _ => None,
        };
        self.complete |= crossed.is_some();
        Ok(crossed)
    }

    fn warning(&self, warning: &Warning) -> Warning {
        Warning {
            engine: Some(self.engine),
            instance: None,
            rule: word(&warning.rule),
            what: clean(&warning.what, TEXT_BYTES),
            hint: clean(&warning.hint, TEXT_BYTES),
        }
    }

    fn skipped(&self, skipped: &Skipped) -> Skipped {
        let (by, why) = (self.by.to_owned(), clean(&skipped.why, TEXT_BYTES));
        Skipped { engine: self.engine, instance: None, by, why }
    }

    fn failed(&self, failed: &Failed) -> Failed {
        let text = |text: &str| clean(text, TEXT_BYTES);
        Failed {
            engine: self.engine,
            instance: None,
            by: self.by.to_owned(),
            what: text(&failed.what),
            cause: text(&failed.cause),
            hint: failed.hint.as_deref().map(text),
            class: failed.class.as_deref().map(word),
            exit: failed.exit.as_deref().map(word),
            log_tail: failed.log_tail.iter().take(LOG_LINES).map(|line| clean(line, TEXT_BYTES)).collect(),
            code: Code::of(failed.code).unwrap_or(Code::Unmet).number(),
        }
    }

    fn installed(&self, installed: Installed) -> Result<Option<Installed>, Failure> {
        let Some(roots) = self.roots.map(|roots| roots()) else { return Ok(None) };
        let inside = |path: PathBuf| self.inside(path, &roots);
        let path = inside(installed.path)?;
        Ok(Some(Installed {
            engine: self.engine,
            id: word(&installed.id),
            path,
            python: installed.python.map(inside).transpose()?,
            executable: installed.executable.map(inside).transpose()?,
            library_dir: installed.library_dir.map(inside).transpose()?,
            activation: installed.activation.map(|activation| self.activation(activation)).transpose()?,
            checks: checks(installed.checks),
            previous: installed.previous.map(inside).transpose()?,
            source: installed.source.as_ref().map(source),
            seal: installed.seal,
            seconds: installed.seconds.max(0.0),
            reused: installed.reused,
            switched: installed.switched,
        }))
    }

    /// A path that is below one of the roots as it is written.
    fn inside(&self, path: PathBuf, roots: &[PathBuf]) -> Result<PathBuf, Failure> {
        let below = |root: &PathBuf| path.strip_prefix(root).is_ok_and(is_plain);
        if roots.iter().any(below) {
            return Ok(path);
        }
        let shown = clean(&path.display().to_string(), TEXT_BYTES);
        let root = roots.first().map_or_else(String::new, |root| root.display().to_string());
        Err(self.refused(&format!("{shown} as a part of the install in {root}")))
    }

    /// The environment of a server that runs as the same user. Folders of PATH may be the system's.
    fn activation(&self, activation: Activation) -> Result<Activation, Failure> {
        let Activation { path, variables } = activation;
        let is_folder =
            |path: &PathBuf| path.is_absolute() && is_plain(path.strip_prefix("/").unwrap_or(path));
        if !path.iter().all(is_folder) {
            return Err(self.refused("a folder for PATH that is none"));
        }
        let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
        let odd = |(name, value): (&String, &String)| !is_variable(name) || value.contains('\0');
        if variables.len() > VARIABLES || bytes > ENVIRONMENT_BYTES || variables.iter().any(odd) {
            return Err(self.refused("variables that no environment has"));
        }
        Ok(Activation { path, variables })
    }

    fn refused(&self, said: &str) -> Failure {
        let what = format!("cannot use what {} said as another user", self.by);
        Failure::new(Code::Input, what, format!("it said {said}"))
            .hint("another process of that user may have written it; look what runs as that user")
    }
}

/// A relative path without what leads out of its folder or deceives a reader.
fn is_plain(path: &Path) -> bool {
    let text = path.to_str().is_some_and(|text| !text.contains(is_deceptive) && text.len() < 4096);
    text && path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.len() <= WORD_BYTES
        && name.chars().all(|letter| letter.is_ascii_graphic() && letter != '=')
}

fn word(text: &str) -> String {
    clean(text, WORD_BYTES)
}

fn warmed(warmed: &Warmed) -> Warmed {
    Warmed {
        engine: warmed.engine,
        lock_sha256: word(&warmed.lock_sha256),
        pixi_version: word(&warmed.pixi_version),
        seconds: warmed.seconds.max(0.0),
    }
}

/// What it was made from, as a person reads it.
fn source(source: &Source) -> Source {
    let path = PathBuf::from(clean(&source.path.to_string_lossy(), 4096));
    Source { path, ..*source }
}

/// Numbers, short words and lists of them.
fn checks(checks: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let plain = |value: &Value| match value {
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::String(text) => Some(clean(text, 4096).into()),
        _ => None,
    };
    let crossed = |(name, value): (String, Value)| {
        let value = match &value {
            Value::Array(list) => Value::Array(list.iter().take(CHECKS).filter_map(plain).collect()),
            other => plain(other)?,
        };
        Some((word(&name), value))
    };
    checks.into_iter().take(CHECKS).filter_map(crossed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(line: &str) -> Result<Option<Record>, Failure> {
        let roots = || vec![PathBuf::from("/x/llama")];
        RecordFilter::of_install(Engine::LlamaCpp, "iinstall", &roots).admit(line.as_bytes())
    }

    fn installed(more: &str) -> String {
        format!(
            r#"{{"kind":"installed","engine":"llama-cpp","id":"0","path":"/x/llama/.installs/0-1","seal":"none","seconds":1{more}}}"#
        )
    }

    #[test]
    fn an_install_crosses_below_its_folder_alone() {
        assert!(matches!(admit(&installed("")), Ok(Some(Record::Installed(_)))));
        for more in [
            r#","executable":"/x/llama/../../bin/sh""#,
            r#","python":"/usr/bin/python""#,
            r#","previous":"x""#,
            r#","library_dir":"/x/llama/a[2J""#,
            r#","activation":{"path":["bin"]}"#,
            r#","activation":{"variables":{"A=B":"c"}}"#,
        ] {
            assert_eq!(admit(&installed(more)).unwrap_err().code, Code::Input, "{more}");
        }
        let more =
            r#","activation":{"path":["/usr/bin"],"variables":{"A":"b"}},"checks":{"a":{"b":1},"c":[1,[2]]}"#;
        let Ok(Some(Record::Installed(crossed))) = admit(&installed(more)) else { panic!("it crosses") };
        assert_eq!(crossed.checks, BTreeMap::from([("c".to_owned(), serde_json::json!([1]))]));
    }

    #[test]
    fn only_the_first_word_on_how_it_went_crosses_and_none_of_another_engine() {
        let skipped = |engine| format!(r#"{{"kind":"skipped","engine":"{engine}","by":"iplan","why":"w"}}"#);
        assert_eq!(admit(&skipped("vllm")), Ok(None));
        let roots = || Vec::new();
        let mut filter = RecordFilter::of_install(Engine::Vllm, "iinstall", &roots);
        let Ok(Some(Record::Skipped(crossed))) = filter.admit(skipped("vllm").as_bytes()) else {
            panic!("it crosses")
        };
        assert_eq!(crossed.by, "iinstall");
        assert_eq!(filter.admit(skipped("vllm").as_bytes()), Ok(None));
        let warmed =
            r#"{"kind":"warmed","engine":"llama-cpp","lock_sha256":"0","pixi_version":"1","seconds":1}"#;
        assert_eq!(admit(warmed), Ok(None));
        assert!(admit("what").is_err());
    }
}
