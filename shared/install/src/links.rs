//! `current`, and the fixed links through it.
use crate::attempt::nonce;
use crate::linked::LINK;
use crate::root::CURRENT;
use crate::sync::sync_folder;
use crate::{INSTALLS, Install, InstallRoot, RootLock, refused};
use record::{Road, Warning};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use tool::{Code, Failure};

const MARKER_LINK: (&str, &str) = (LINK, "current/installed.json");

/// The fixed links that the roads make: name and target.
const ALL: [(&str, &str); 5] = [
    ("bin", "current/bin"),
    (".pixi", "current/.pixi"),
    ("env", "current/env"),
    ("activate.sh", "current/activate.sh"),
    MARKER_LINK,
];

/// The names of those that a road's install goes by.
fn fixed(road: Road) -> &'static [&'static str] {
    match road {
        Road::Archive => &["bin"],
        Road::Cache => &[".pixi"],
        Road::Bundle => &["env", "activate.sh"],
    }
}

impl InstallRoot {
    /// Make `install` the current one by one rename. Whatever happens, `current` names a complete install.
    ///
    /// # Errors
    /// The link cannot be made.
    pub fn activate(&self, install: &Install, _lock: &RootLock) -> Result<(), Failure> {
        let link = self.path.join(CURRENT);
        let draft = self.installs().join(format!(".current-{}", nonce()));
        let flip = || {
            symlink(Path::new(INSTALLS).join(install.name()), &draft)?;
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

    /// Make the fixed links of `install` that are missing, and take away those that an install of another road left. What
    /// stands in the place of one is left alone and named.
    ///
    /// # Errors
    /// A link cannot be made or removed.
    pub fn link(&self, install: &Install, _lock: &RootLock) -> Result<Vec<Warning>, Failure> {
        let mut warnings = Vec::new();
        for (name, target) in ALL {
            let link = self.path.join(name);
            let wanted = name == MARKER_LINK.0 || fixed(install.road()).contains(&name);
            match std::fs::read_link(&link) {
                Ok(there) if there == Path::new(target) => {
                    if !wanted {
                        std::fs::remove_file(&link).map_err(|error| refused(&link, &error))?;
                    }
                }
                _ if !wanted => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    symlink(target, &link).map_err(|error| refused(&link, &error))?;
                }
                _ => warnings.push(Warning {
                    engine: Some(install.record.engine),
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
