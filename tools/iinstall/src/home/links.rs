//! `current`, and the fixed links through it.
use crate::home::attempt::nonce;
use crate::home::{Home, HomeLock, Install, refused, sync_folder};
use record::{Engine, Warning};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use tool::{Code, Failure};

const MARKER_LINK: (&str, &str) = (".installed-from.json", "current/installed.json");

/// The fixed links of an engine's install: name and target.
fn fixed(engine: Engine) -> &'static [(&'static str, &'static str)] {
    match engine {
        Engine::LlamaCpp => &[("bin", "current/bin"), MARKER_LINK],
        _ => &[MARKER_LINK],
    }
}

impl Home {
    /// Make `install` the current one by one rename. Whatever happens, `current` names a complete install.
    pub(crate) fn activate(&self, install: &Install, _lock: &HomeLock) -> Result<(), Failure> {
        let link = self.path.join("current");
        let draft = self.installs().join(format!(".current-{}", nonce()));
        let flip = || {
            symlink(Path::new(".installs").join(install.name()), &draft)?;
            std::fs::rename(&draft, &link)?;
            sync_folder(&self.path)
        };
        flip().map_err(|error| {
            drop(std::fs::remove_file(&draft));
            match error.kind() {
                io::ErrorKind::IsADirectory => {
                    let what = format!("cannot make {} a link", link.display());
                    Failure::io(Code::Unmet, what, &error).hint("move that folder away and install again")
                }
                _ => refused(&link, &error),
            }
        })
    }

    /// Make the fixed links that are missing. What stands in the place of one is left alone and named.
    pub(crate) fn link(&self, engine: Engine, _lock: &HomeLock) -> Result<Vec<Warning>, Failure> {
        let mut warnings = Vec::new();
        for (name, target) in fixed(engine) {
            let link = self.path.join(name);
            match std::fs::read_link(&link) {
                Ok(there) if there == Path::new(target) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    symlink(target, &link).map_err(|error| refused(&link, &error))?;
                }
                _ => warnings.push(Warning {
                    engine: Some(engine),
                    instance: None,
                    rule: "foreign_in_place".to_owned(),
                    what: format!("{} is not ours and was left alone", link.display()),
                    hint: format!("the install is in {}/current; move the other away", self.path.display()),
                }),
            }
        }
        Ok(warnings)
    }
}
