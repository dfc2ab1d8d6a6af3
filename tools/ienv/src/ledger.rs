//! What is known of a subject and where it came from: one row per value.
use crate::check::{self, Check, InvalidValue};
use record::{Origin, Warning};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use tool::{Code, Failure, vars};

/// The environment variables that we were started with.
#[derive(Debug)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    pub(crate) fn of_this_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// A variable's value; a failure where it is not text, which the wire cannot carry.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, Failure> {
        debug_assert!(!name.starts_with(vars::PREFIX) || vars::all().any(|known| known == name), "{name}");
        let Some(value) = self.0.get(OsStr::new(name)) else { return Ok(None) };
        let cause = || "it is not UTF-8".to_owned();
        value.to_str().map(Some).ok_or_else(|| cannot_use(name, cause(), "give it as UTF-8 text"))
    }

    /// The names of all variables with this prefix; what is not UTF-8 in a name is replaced.
    pub(crate) fn names(&self, prefix: &str) -> impl Iterator<Item = String> {
        let names = self.0.keys().map(|name| name.to_string_lossy().into_owned());
        names.filter(move |name| name.starts_with(prefix))
    }
}

/// One value.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The record's field, or a name that only the table has.
    pub(crate) field: &'static str,
    /// None is unset, without a default.
    pub(crate) value: Option<String>,
    pub(crate) origin: Origin,
    /// The variable, option or file that says so; empty for a default that nobody tried to change.
    pub(crate) source: String,
    /// What would hold without that.
    pub(crate) overrode: Option<String>,
    /// The variable that sets it; none for what no variable says.
    pub(crate) variable: Option<String>,
    /// The value of that variable goes nowhere.
    pub(crate) secret: bool,
}

impl Row {
    /// A default, or nothing.
    pub(crate) fn plain(field: &'static str, value: Option<String>) -> Self {
        let (origin, source) = (Origin::Default, String::new());
        Self { field, value, origin, source, overrode: None, variable: None, secret: false }
    }

    /// A value that something other than a variable of the same meaning says.
    pub(crate) fn given(field: &'static str, value: &str, origin: Origin, source: &str) -> Self {
        Self { origin, source: source.to_owned(), ..Self::plain(field, Some(value.to_owned())) }
    }
}

/// All that is known of one subject.
#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) rows: Vec<Row>,
    /// Everything that is wrong with its variables, not the first alone: an operator corrects them in one go.
    pub(crate) failures: Vec<Failure>,
    pub(crate) warnings: Vec<Warning>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(environment: &'a Environment) -> Self {
        Self { environment, rows: Vec::new(), failures: Vec::new(), warnings: Vec::new() }
    }

    /// A value that a variable says, else the default. Names after the first are its kept spellings. Set to nothing is
    /// unset. What is wrong goes to `failures`.
    pub(crate) fn read(
        &mut self,
        field: &'static str,
        names: &[impl AsRef<str>],
        check: Check,
        default: Option<String>,
    ) -> Option<String> {
        let mut row = Row::plain(field, default);
        row.variable = names.first().map(|name| name.as_ref().to_owned());
        if let Some((name, value)) = self.spelled(names) {
            match check(value) {
                Ok(value) => {
                    row.overrode =
                        row.value.replace(value).filter(|default| row.value.as_ref() != Some(default));
                    row.origin = Origin::Variable;
                    row.source = name.to_owned();
                }
                Err(InvalidValue { cause, hint }) => {
                    row.source = format!("{name}, refused");
                    self.refuse(name, cause, hint);
                }
            }
        }
        let value = row.value.clone();
        self.rows.push(row);
        value
    }

    /// A boolean. Set to nothing is false.
    pub(crate) fn flag(&mut self, field: &'static str, name: &str, default: bool) -> bool {
        let nothing = self.environment.get(name) == Ok(Some(""));
        let default = if default && !nothing { "1" } else { "0" };
        self.read(field, &[name], check::boolean, Some(default.to_owned())).as_deref() == Some("1")
    }

    /// A variable whose value is a secret: its name alone goes anywhere, and only when it is set.
    pub(crate) fn secret(&mut self, field: &'static str, name: &str, check: Check) -> Option<String> {
        let set = self.read(field, &[name], check, None).map(|_| name.to_owned());
        if let Some(row) = self.rows.last_mut() {
            row.secret = true;
            row.value.clone_from(&set);
        }
        set
    }

    /// Log what is not a default, and why it is as it is.
    pub(crate) fn tell(&self, subject: &str) {
        for row in self.rows.iter().filter(|row| row.origin != Origin::Default) {
            let value = row.value.as_deref().map_or("unset".to_owned(), printable);
            log::info!("{subject}: {} is {value}, as {} says", row.field, printable(&row.source));
        }
    }

    /// The row of a field that was read.
    pub(crate) fn row(&mut self, field: &str) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.field == field)
    }

    /// Say that a variable cannot be used.
    pub(crate) fn refuse(&mut self, name: &str, cause: String, hint: &str) {
        self.failures.push(cannot_use(name, cause, hint));
    }

    /// The value under whichever of its names it is set, with that name.
    fn spelled<'n>(&mut self, names: &'n [impl AsRef<str>]) -> Option<(&'n str, &'a str)> {
        let mut found: Option<(&str, &str)> = None;
        for name in names.iter().map(AsRef::as_ref) {
            match (self.environment.get(name), found) {
                (Err(failure), _) => self.failures.push(failure),
                (Ok(None | Some("")), _) => {}
                (Ok(Some(value)), None) => found = Some((name, value)),
                // A slash at the end makes no other path.
                (Ok(Some(value)), Some((_, other))) if trimmed(value) == trimmed(other) => {}
                (Ok(Some(_)), Some((first, _))) => {
                    let cause = format!("{first} means the same and says otherwise");
                    self.refuse(name, cause, "unset one of them");
                }
            }
        }
        found
    }
}

/// The `origin` of a record: of each of its fields that has a row.
pub(crate) fn origins<'r>(
    fields: &serde_json::Value,
    rows: impl Iterator<Item = &'r Row>,
) -> BTreeMap<String, Origin> {
    let present = rows.filter(|row| fields.get(row.field).is_some());
    present.map(|row| (row.field.to_owned(), row.origin)).collect()
}

fn trimmed(value: &str) -> &str {
    value.trim_end_matches('/')
}

fn cannot_use(name: &str, cause: String, hint: &str) -> Failure {
    Failure::new(Code::Unmet, format!("cannot use {name}"), cause).hint(hint)
}

/// The rows as a table for a person, with what pixi's children get.
pub(crate) fn table(title: &str, rows: &[Row], environment: &BTreeMap<String, String>) -> String {
    let line = |row: &Row| {
        let value = row.value.as_deref().map_or("-".to_owned(), printable);
        let origin = match row.origin {
            Origin::Default if !row.source.is_empty() => row.source.clone(),
            Origin::Default => {
                let word = if row.value.is_none() { "unset" } else { "default" };
                let unnamed = if row.value.is_none() { "-" } else { word };
                row.variable.as_ref().map_or(unnamed.to_owned(), |name| format!("{word}: {name}"))
            }
            Origin::Disk => format!("disk {}", printable(&row.source)),
            Origin::Variable | Origin::Option => row.source.clone(),
        };
        [row.field.to_owned(), value, origin, row.overrode.as_deref().map_or(String::new(), printable)]
    };
    let mut lines: Vec<[String; 4]> = vec![["field", "value", "origin", "overrode"].map(str::to_owned)];
    lines.extend(rows.iter().map(line));
    let for_pixi = |(name, value): (&String, &String)| {
        [name.clone(), printable(value), "for pixi".to_owned(), String::new()]
    };
    lines.extend(environment.iter().map(for_pixi));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let [first, second, third] = [0, 1, 2].map(width);
    let mut text = format!("{title}\n");
    for [field, value, origin, overrode] in &lines {
        let line = format!("  {field:first$}  {value:second$}  {origin:third$}  {overrode}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A text on one line of a terminal.
fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// A row as a shell's export; none for secrets and for what has no variable or no value.
pub(crate) fn export_of(row: &Row) -> Option<String> {
    if row.secret {
        return None;
    }
    Some(export(row.variable.as_ref()?, row.value.as_ref()?))
}

/// A shell's export. It ends in a semicolon, as the lines are joined where `eval` is given them without quotes.
pub(crate) fn export(name: &str, value: &str) -> String {
    format!("export {name}='{}';\n", value.replace('\'', r"'\''"))
}
