//! The options of the engine that is planned for, from its own mouth.
//!
//! An install of ours has them beside it. Another program is asked once, and the answer kept in the run directory by the
//! program's path, size and time of change.
use crate::input::Input;
use crate::install::Install;
use base16ct::lower::encode_string as hex;
use child::User;
use config::{Config, rules};
use log::{debug, info};
use owner::Dir;
use record::{Engine, Plan, Warning};
use sha2::{Digest, Sha256};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use vocabulary::{FILE, MAX_BYTES, Speaker, Vocabulary};

/// The options, or why there are none, as a warning.
pub(crate) fn of(install: &Install, config: &Config, input: &Input) -> Result<Vocabulary, Option<Warning>> {
    let engine = input.env.engine;
    if let Some(kept) = install.path.as_deref().and_then(|path| read(&Dir::open(path).ok()?, FILE)) {
        return Ok(kept);
    }
    let default = engine::of(engine).module.map(|(_, module)| module);
    let module = config.master.module.as_deref().or(default);
    let program = if module.is_some() { &install.python } else { &install.executable };
    let Some(program) = program.as_deref() else { return Err(None) };
    let (run_dir, kept) = (&input.env.run_dir, kept_as(engine, program, module));
    if let Some(known) = kept.as_deref().and_then(|name| read(&state::vocabulary_dir(run_dir).ok()??, name)) {
        return Ok(known);
    }
    let asked = as_whom(input).and_then(|user| {
        let speaker = Speaker {
            program,
            library_dir: install.library_dir.as_deref(),
            module,
            activation: install.activation.as_ref(),
            user: user.as_ref(),
        };
        speaker.ask()
    });
    match asked {
        Ok(vocabulary) => {
            if let Some(name) = kept {
                keep(run_dir, &name, &vocabulary);
            }
            Ok(vocabulary)
        }
        Err(why) => Err(Some(unasked(engine, program, &why))),
    }
}

/// A user's engine is asked as that user; who cannot become him does not ask.
fn as_whom(input: &Input) -> Result<Option<User>, String> {
    let variable = variables::of(input.env.engine, "USER");
    User::other(input.env.user.as_deref(), &variable).map_err(|failure| failure.cause)
}

/// The options by which a plan was written, for who reads its configuration again.
pub(crate) fn of_plan(plan: &Plan) -> Option<Vocabulary> {
    if let Some(kept) = plan.install_path.as_deref().and_then(|path| read(&Dir::open(path).ok()?, FILE)) {
        return Some(kept);
    }
    let run_dir = plan.state_dir.parent()?.parent()?;
    let module = match plan.args.first().map(String::as_str) {
        Some("-m") => plan.args.get(1).map(String::as_str),
        _ => None,
    };
    read(&state::vocabulary_dir(run_dir).ok()??, &kept_as(plan.engine, &plan.program, module)?)
}

/// The file that keeps a program's answer: named by what makes it another program, or another list.
fn kept_as(engine: Engine, program: &Path, module: Option<&str>) -> Option<String> {
    let meta = owner::metadata(program).ok()?;
    let times = (meta.len(), meta.mtime(), meta.mtime_nsec());
    let key = format!("{}\0{times:?}\0{}", program.display(), module.unwrap_or_default());
    let name = hex(&Sha256::digest(key.as_bytes())[..8]);
    Some(format!("{engine}-{name}.json"))
}

/// A vocabulary's file; `None` where there is none that can be used.
fn read(folder: &Dir, name: &str) -> Option<Vocabulary> {
    let file = folder.path().join(name);
    let bytes = folder.read(name, MAX_BYTES).transpose()?;
    match bytes.and_then(|bytes| Vocabulary::from_json(&bytes)) {
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
fn keep(run_dir: &Path, name: &str, vocabulary: &Vocabulary) {
    let folder = state::make_vocabulary_dir(run_dir);
    let kept = folder.and_then(|folder| folder.replace(name, 0o644, &vocabulary.to_json()));
    if let Err(error) = kept {
        info!("cannot keep {name} in {}: {error}", run_dir.display());
    }
}

fn unasked(engine: Engine, program: &Path, why: &str) -> Warning {
    Warning {
        engine: Some(engine),
        instance: None,
        rule: rules::FLAGS_UNKNOWN.to_owned(),
        what: format!("{} does not say which options it has: {why}", program.display()),
        hint: "see that it runs, and install what it lacks; until then flags are written by a built-in table, and none is checked".to_owned(),
    }
}
