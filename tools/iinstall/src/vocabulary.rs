//! The options that an installed engine has, asked of itself and kept beside its marker.
use install::Install;
use std::io::{self, Write};
use std::path::Path;
use vocabulary::{FILE, Speaker, Vocabulary};

/// Ask the engine, unless that was done. One that does not answer is installed all the same: the next plan asks again, and says
/// so.
pub(crate) fn ask(install: &Install) {
    let file = install.path.join(FILE);
    let record = &install.record;
    let profile = engine::of(record.engine);
    // An environment that lacks the engine has been warned of, and has no options.
    let lacks = profile.imports.iter().any(|name| !record.checks.contains_key(*name));
    let module = profile.module.map(|(_, module)| module);
    let program = if module.is_some() { &record.python } else { &record.executable };
    let Some(program) = program.as_deref().filter(|_| !lacks && !owner::exists(&file)) else { return };
    let speaker = Speaker {
        program,
        library_dir: record.library_dir.as_deref(),
        module,
        activation: record.activation.as_ref(),
        user: None,
    };
    match speaker.ask() {
        Ok(vocabulary) => {
            if let Err(error) = write(&install.path, &file, &vocabulary) {
                log::info!("cannot write {}: {}", file.display(), tool::io_text(&error));
            }
        }
        Err(why) => log::info!("{} does not say which options it has: {why}", program.display()),
    }
}

fn write(folder: &Path, file: &Path, vocabulary: &Vocabulary) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(&vocabulary.to_json())?;
    draft.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    draft.persist(file).map(drop).map_err(|error| error.error)
}
