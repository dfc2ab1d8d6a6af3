//! The options of the engine that is planned for, from its own mouth.
//!
//! An install of ours has them beside it. Another program is asked once, and the answer kept in the run directory by the
//! program's path, size and time of change.
use crate::config::Config;
use crate::document::hex;
use crate::install::Install;
use crate::{Input, Options, rules};
use child::User;
use log::{debug, info};
use owner::Dir;
use record::{Engine, Plan, Warning};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use vocabulary::{FILE, MAX_BYTES, Speaker, Vocabulary};

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
    let kept = kept_in(&input.env.run_dir, engine, program, module);
    if let Some(known) = kept.as_deref().and_then(read) {
        return Ok(known);
    }
    let asked = as_whom(input).and_then(|user| {
        let iseal = seal(options);
        let speaker = Speaker {
            program,
            library_dir: install.library_dir.as_deref(),
            module,
            activation: install.activation.as_ref(),
            iseal: iseal.as_deref(),
            user: user.as_ref(),
        };
        speaker.ask()
    });
    match asked {
        Ok(vocabulary) => {
            if let Some(file) = kept {
                keep(&file, &vocabulary);
            }
            Ok(vocabulary)
        }
        Err(why) => Err(Some(unasked(engine, program, &why))),
    }
}

/// A user's engine is asked as that user; who cannot become him does not ask.
fn as_whom(input: &Input) -> Result<Option<User>, String> {
    let variable = tool::vars::of(input.env.engine, "USER");
    User::other(input.env.user.as_deref(), &variable).map_err(|failure| failure.cause)
}

/// `iseal`, beside our own executable, else in PATH.
fn seal(options: &Options) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("iseal"));
    let on_path = || which::which_in("iseal", options.environment.get("PATH"), "/").ok();
    beside.filter(|path| path.is_file()).or_else(on_path)
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
    read(&kept_in(run_dir, plan.engine, &plan.program, module)?)
}

/// The file that keeps a program's answer: named by what makes it another program, or another list.
fn kept_in(run_dir: &Path, engine: Engine, program: &Path, module: Option<&str>) -> Option<PathBuf> {
    let meta = fs::metadata(program).ok()?;
    let times = (meta.len(), meta.mtime(), meta.mtime_nsec());
    let key = format!("{}\0{times:?}\0{}", program.display(), module.unwrap_or_default());
    let name = hex(&Sha256::digest(key.as_bytes())[..8]);
    Some(run_dir.join("vocabulary").join(format!("{engine}-{name}.json")))
}

/// A vocabulary's file; `None` where there is none that can be used.
fn read(file: &Path) -> Option<Vocabulary> {
    // With the rights of whoever has the folder: the install is a user's.
    let (folder, name) = (file.parent()?, file.file_name()?);
    let bytes = match Dir::open(folder).and_then(|folder| folder.read_through_links(name, MAX_BYTES)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        read => read,
    };
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
