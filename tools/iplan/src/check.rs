//! TOML files checked by themselves, for whoever keeps them in a repository: no install, no GPU and no port is looked at.
use config::{Config, Document, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use record::Engine;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tool::{Failure, Io, Outcome};

/// How the findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Sarif,
}

/// One thing that is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    line: usize,
    column: usize,
    message: String,
    hint: Option<String>,
}

/// Check the files, each as of the engine that has the least against it.
///
/// # Errors
/// Code 69 for a file that cannot be read.
pub(crate) fn check(
    files: &[PathBuf],
    format: Format,
    lenient: bool,
    io: &mut Io,
) -> Result<Outcome, Failure> {
    let mut findings = Vec::new();
    for file in files {
        findings.extend(of_file(file, lenient)?);
    }
    io.print(&match format {
        Format::Text => findings.iter().map(text).collect(),
        Format::Json => findings.iter().map(|finding| format!("{}\n", json(finding))).collect(),
        Format::Sarif => format!("{:#}\n", sarif(&findings)),
    })?;
    Ok(if findings.is_empty() { Outcome::Done } else { Outcome::No })
}

fn of_file(file: &Path, lenient: bool) -> Result<Vec<Finding>, Failure> {
    let document = match Document::read(file, None) {
        Ok(document) => document,
        // No TOML, and where that shows; what is no finding is a failure of ours.
        Err(failure) => return finding(&failure).map(|found| vec![found]).ok_or(failure),
    };
    let tried = Engine::ENGINES.map(|engine| (engine, config::read(&document, engine, lenient)));
    let count = |(_, read): &(Engine, Result<_, Vec<Failure>>)| read.as_ref().map_or_else(Vec::len, |_| 0);
    let Some((engine, read)) = tried.into_iter().min_by_key(count) else { return Ok(Vec::new()) };
    log::info!("{} is checked as {engine}'s", file.display());
    let mut findings = match read {
        Err(failures) => failures.iter().filter_map(finding).collect(),
        Ok(config) if config.master.enable => taken(&document, &config),
        Ok(_) => Vec::new(),
    };
    findings.sort_by_key(|finding| (finding.line, finding.column));
    Ok(findings)
}

/// Ports that two instances of one file have. Two files may be there for one or the other.
fn taken(document: &Document, config: &Config) -> Vec<Finding> {
    let (mut findings, mut ports) = (Vec::new(), BTreeMap::new());
    for instance in config.instances.iter().filter(|instance| instance.settings.enabled) {
        let Some(entry) = instance.server.entry("port") else { continue };
        let Value::Number(port) = &entry.node.value else { continue };
        if let Some(first) = ports.insert(port.clone(), &instance.name) {
            let cause = format!("{} and {first} both listen on port {port}", instance.name);
            let failure = document.failure(entry.place, cause).hint("give one of them another port");
            findings.extend(finding(&failure));
        }
    }
    findings
}

/// A failure that says where, as `FILE:LINE:COLUMN`.
fn finding(failure: &Failure) -> Option<Finding> {
    let mut parts = failure.what.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    let (message, hint) = (failure.cause.clone(), failure.hint.clone());
    Some(Finding { file: parts.next()?.to_owned(), line, column, message, hint })
}

/// The names of files and of what is in them are whoever's wrote them: each stays on its line.
fn text(finding: &Finding) -> String {
    let Finding { file, line, column, message, hint } = finding;
    let shown = tool::one_line;
    let hint = hint.as_ref().map(|hint| format!("    hint: {}\n", shown(hint))).unwrap_or_default();
    format!("{}:{line}:{column}: {}\n{hint}", shown(file), shown(message))
}

fn json(finding: &Finding) -> Json {
    let Finding { file, line, column, message, hint } = finding;
    let mut object = json!({ "file": file, "line": line, "column": column, "message": message });
    if let Some(hint) = hint {
        object["hint"] = json!(hint);
    }
    object
}

/// SARIF 2.1.0, as code hosts show it beside the lines.
fn sarif(findings: &[Finding]) -> Json {
    let results: Vec<Json> = findings
        .iter()
        .map(|finding| {
            let text = match &finding.hint {
                Some(hint) => format!("{}; hint: {hint}", finding.message),
                None => finding.message.clone(),
            };
            json!({
                "ruleId": "toml",
                "level": "error",
                "message": { "text": text },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": uri(&finding.file) },
                    "region": { "startLine": finding.line, "startColumn": finding.column },
                } }],
            })
        })
        .collect();
    let rule = json!({ "id": "toml", "shortDescription": { "text": "An engine's TOML file is as infer-dev(5) says" } });
    let driver = json!({ "name": "iplan", "version": env!("CARGO_PKG_VERSION"), "rules": [rule] });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results }],
    })
}

/// What a path has in a URI as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A path as a URI, relative where it is.
fn uri(path: &str) -> String {
    let escaped = utf8_percent_encode(path, ENCODED).to_string();
    if path.starts_with('/') {
        format!("file://{escaped}")
    } else {
        escaped.trim_start_matches("./").to_owned()
    }
}
