//! The audit log: one line for each change of state, by whichever tool makes it.
//!
//! `<run_dir>/audit.jsonl` is one file for all engines and tools. Whoever may not write it, as the keeper of another user,
//! writes the file of the same name in the instance's own folder.
use crate::{Directory, run_dir};
use failure::Code;
use owner::Dir;
use record::{Engine, Failed, StopMethod, Warning};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use text::{one_line, utc};

/// The file, and what it is renamed to when it is full.
pub const FILES: [&str; 2] = ["audit.jsonl", "audit.jsonl.1"];
/// Some 10,000 lines.
const MOST_BYTES: u64 = 4 << 20;
/// As much of a reason as a person reads. It is a user's process that may have written it.
const REASON_CHARS: usize = 500;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "infer-dev(5) says what each is")]
pub enum Event {
    Install,
    Rollback,
    Warm,
    Bring,
    Repair,
    Record,
    Start,
    Restart,
    GiveUp,
    Sleep,
    Wake,
    Stop,
    Forget,
}

/// One change of state, or an attempt at one.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    at: String,
    by: &'a str,
    pid: u32,
    uid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_uid: Option<u32>,
    event: Event,
    engine: Engine,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keeper_pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<StopMethod>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forgotten: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

impl<'a> Entry<'a> {
    /// Something that this tool has done now.
    #[must_use]
    pub fn new(by: &'a str, event: Event, engine: Engine) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let uid = rustix::process::geteuid().as_raw();
        Self {
            at: utc(now.as_secs()),
            by,
            pid: std::process::id(),
            uid,
            user: None,
            login_uid: owner::login_uid().filter(|login| *login != uid),
            event,
            engine,
            instance: None,
            outcome: "done",
            path: None,
            keeper_pid: None,
            how: None,
            forgotten: false,
            class: None,
            reason: None,
            code: None,
        }
    }

    /// Look the user's name up. A keeper does without: the user database takes memory for as long as it lives.
    #[must_use]
    pub fn named(mut self) -> Self {
        let entry = nix::unistd::User::from_uid(self.uid.into()).ok().flatten();
        self.user = entry.map(|user| one_line(&user.name));
        self
    }

    /// To this instance.
    #[must_use]
    pub fn of(self, instance: &str) -> Self {
        Self { instance: Some(one_line(instance)), ..self }
    }

    /// With this as the result: an install, a cache, a manifest.
    #[must_use]
    pub fn at(self, path: &Path) -> Self {
        Self { path: Some(one_line(&path.to_string_lossy()).into()), ..self }
    }

    /// Kept by this process.
    #[must_use]
    pub fn kept_by(self, keeper_pid: u32) -> Self {
        Self { keeper_pid: Some(keeper_pid), ..self }
    }

    /// What it took to stop it, and whether its state was removed too.
    #[must_use]
    pub fn stopped(self, how: StopMethod, forgotten: bool) -> Self {
        Self { how: Some(how), forgotten, ..self }
    }

    /// Why it was done: the class of an engine's failure, and words.
    #[must_use]
    pub fn because(self, class: Option<&str>, reason: &str) -> Self {
        let reason = one_line(reason).chars().take(REASON_CHARS).collect();
        Self { class: class.map(one_line), reason: Some(reason), ..self }
    }

    /// It was tried and is not done, which has this exit code.
    #[must_use]
    pub fn not_done(self, code: Code) -> Self {
        Self { outcome: "failed", code: Some(code.number()), ..self }
    }

    /// The same, as a record says.
    #[must_use]
    pub fn failed(self, failed: &Failed) -> Self {
        let reason = format!("{}: {}", failed.what, failed.cause);
        let tried = self.because(failed.class.as_deref(), &reason);
        Self { outcome: "failed", code: Some(failed.code), ..tried }
    }
}

/// Write a line about an engine into the audit log of this run directory, which is made where it is missing and something
/// was done. What cannot be written stops nothing: the first time, that is the warning.
#[must_use]
pub fn note(run_dir: &Path, entry: &Entry<'_>) -> Option<Warning> {
    let opened = match entry.outcome {
        "done" => run_dir::make_as_usual(run_dir).map(Some),
        _ => run_dir::open(run_dir),
    };
    let written = opened.and_then(|dir| dir.map_or(Ok(()), |dir| append(&dir, entry)));
    warning(run_dir, entry, written)
}

/// The same about the instance in this state directory. Where the run directory is gone, so is what was noted in it.
#[must_use]
pub fn note_instance(place: &Directory, entry: &Entry<'_>) -> Option<Warning> {
    let run_dir = place.path().parent().and_then(Path::parent)?;
    let written = run_dir::open(run_dir).and_then(|dir| dir.map_or(Ok(()), |dir| append(&dir, entry)));
    match written {
        // It is root's, and we keep or stop what is ours. Root's own lines stand in no file of a user's.
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied && !rustix::process::geteuid().is_root() =>
        {
            warning(place.path(), entry, place.open().and_then(|dir| append(&dir, entry)))
        }
        written => warning(run_dir, entry, written),
    }
}

fn append(dir: &Dir, entry: &Entry<'_>) -> io::Result<()> {
    dir.append_line(FILES[0], 0o600, &serde_json::to_vec(entry)?, MOST_BYTES)
}

/// What is to be said where the line is not in the log in this folder.
fn warning(dir: &Path, entry: &Entry<'_>, written: io::Result<()>) -> Option<Warning> {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let (file, error) = (dir.join(FILES[0]), written.err()?);
    let what = format!("cannot write {}: {}", file.display(), failure::io_text(&error));
    // Of what failed, and changed nothing, more is said than this.
    let is_change = entry.outcome == "done" || entry.event == Event::GiveUp;
    if !is_change || WARNED.swap(true, Ordering::Relaxed) {
        log::info!("{what}");
        return None;
    }
    Some(Warning {
        engine: Some(entry.engine),
        instance: entry.instance.clone(),
        rule: "audit".to_owned(),
        what,
        hint: "what is done is not noted there; infer-dev(5) says who writes it".to_owned(),
    })
}
