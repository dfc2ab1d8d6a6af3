//! The options of the engine that is planned for, from its own mouth.
//!
//! An install of ours has them beside it. Another program is asked once, and the answer kept in the run directory by the
//! program's path, size and time of change.
use crate::config::Config;
use crate::document::hex;
use crate::install::Install;
use crate::{Input, Options, rules};
use log::{debug, info};
use record::{Engine, Plan, Warning};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use vocabulary::{FILE, MAX_BYTES, Vocabulary};

mod asking;

/// A program with the options that it has.
#[derive(Debug)]
struct Speaker<'a> {
    engine: Engine,
    /// llama.cpp: `llama-server`; else the interpreter.
    program: &'a Path,
    library_dir: Option<&'a Path>,
    /// vLLM, SGLang: the server's module.
    module: Option<&'a str>,
    user: Option<&'a str>,
}

/// The options, or why there are none, as a warning.
pub(crate) fn of(
    install: &Install,
    config: &Config,
    input: &Input,
    options: &Options,
) -> Result<Vocabulary, Option<Warning>> {
    let engine = input.env.engine;
    if let Some(kept) = install.path.as_deref().and_then(|path| read(&path.join(FILE))) {
        return Ok(kept);
    }
    let default = engine::of(engine).module.map(|(_, module)| module);
    let module = config.master.module.as_deref().or(default);
    let program = if module.is_some() { &install.python } else { &install.executable };
    let Some(program) = program.as_deref() else { return Err(None) };
    let library_dir = install.library_dir.as_deref();
    let speaker = Speaker { engine, program, library_dir, module, user: input.env.user.as_deref() };
    let kept = speaker.kept_in(&input.env.run_dir);
    if let Some(known) = kept.as_deref().and_then(read) {
        return Ok(known);
    }
    match speaker.ask(install, options) {
        Ok(vocabulary) => {
            if let Some(file) = kept {
                keep(&file, &vocabulary);
            }
            Ok(vocabulary)
        }
        Err(why) => Err(Some(unasked(engine, program, &why))),
    }
}

/// The options by which a plan was written, for who reads its configuration again.
pub(crate) fn of_plan(plan: &Plan) -> Option<Vocabulary> {
    if let Some(kept) = plan.install_path.as_deref().and_then(|path| read(&path.join(FILE))) {
        return Some(kept);
    }
    let run_dir = plan.state_dir.parent()?.parent()?;
    let module = match plan.args.first().map(String::as_str) {
        Some("-m") => plan.args.get(1).map(String::as_str),
        _ => None,
    };
    let (engine, program) = (plan.engine, plan.program.as_path());
    let speaker = Speaker { engine, program, library_dir: None, module, user: None };
    read(&speaker.kept_in(run_dir)?)
}

impl Speaker<'_> {
    /// The file that keeps its answer: named by what makes it another program, or another list.
    fn kept_in(&self, run_dir: &Path) -> Option<PathBuf> {
        let meta = fs::metadata(self.program).ok()?;
        let times = (meta.len(), meta.mtime(), meta.mtime_nsec());
        let key = format!("{}\0{times:?}\0{}", self.program.display(), self.module.unwrap_or_default());
        let name = hex(&Sha256::digest(key.as_bytes())[..8]);
        Some(run_dir.join("vocabulary").join(format!("{}-{name}.json", self.engine)))
    }
}

/// A vocabulary's file; `None` where there is none that can be used.
fn read(file: &Path) -> Option<Vocabulary> {
    let size = fs::metadata(file).ok().filter(fs::Metadata::is_file)?.len();
    if size > MAX_BYTES {
        return None;
    }
    let read = fs::read(file).and_then(|bytes| Vocabulary::from_json(&bytes));
    match read {
        Ok(vocabulary) => {
            debug!("{} lists {} options", file.display(), vocabulary.flags.len());
            Some(vocabulary)
        }
        Err(error) => {
            info!("cannot use {}: {error}", file.display());
            None
        }
    }
}

/// The next plan asks again where this does not succeed.
fn keep(file: &Path, vocabulary: &Vocabulary) {
    let Some(folder) = file.parent() else { return };
    let kept = fs::create_dir_all(folder).and_then(|()| {
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut draft, &vocabulary.to_json())?;
        draft.persist(file).map_err(|error| error.error)
    });
    if let Err(error) = kept {
        info!("cannot keep {}: {error}", file.display());
    }
}

fn unasked(engine: Engine, program: &Path, why: &str) -> Warning {
    Warning {
        engine: Some(engine),
        instance: None,
        rule: rules::FLAGS_UNKNOWN.to_owned(),
        what: format!("{} does not say which options it has: {why}", program.display()),
        hint: "flags are written by a built-in table, and none is checked".to_owned(),
    }
}
