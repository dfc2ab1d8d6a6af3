//! An install root: `.installs/` and the `current` link.
use crate::refused::{not_made, refused};
use crate::{Install, marker};
use std::io;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// Where attempts and installs are.
pub const INSTALLS: &str = ".installs";
/// The link in an install root to the install that is used.
pub const CURRENT: &str = "current";

/// The folder of an engine's installs, by its canonical path.
#[derive(Clone, Debug)]
pub struct InstallRoot {
    /// Where it is.
    pub path: PathBuf,
}

impl InstallRoot {
    /// The root at `path`; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn find(path: &Path) -> Result<Option<Self>, Failure> {
        match path.canonicalize() {
            Ok(path) => Ok(Some(Self { path })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(path, &error)),
        }
    }

    /// The root at `path`, made where it is missing, and `.installs` in it.
    pub(crate) fn make(path: &Path) -> Result<Self, Failure> {
        let made = std::fs::create_dir_all(path).and_then(|()| path.canonicalize());
        let root = Self { path: made.map_err(|error| not_made(path, &error))? };
        std::fs::create_dir_all(root.installs()).map_err(|error| refused(&root.installs(), &error))?;
        Ok(root)
    }

    /// Where attempts and installs are.
    #[must_use]
    pub fn installs(&self) -> PathBuf {
        self.path.join(INSTALLS)
    }

    /// The install that `current` names; `None` where there is none, or it names none.
    ///
    /// # Errors
    /// The link or the marker cannot be read.
    pub fn current(&self) -> Result<Option<Install>, Failure> {
        let link = self.path.join(CURRENT);
        let target = match std::fs::read_link(&link) {
            Ok(target) => self.path.join(target),
            // A real folder of that name is nothing of ours.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                return Ok(None);
            }
            Err(error) => return Err(refused(&link, &error)),
        };
        let Ok(folder) = target.canonicalize() else { return Ok(None) };
        Install::read(&folder).map_err(|error| {
            Failure::io(Code::Unmet, format!("cannot read {}", folder.join(marker::NAME).display()), &error)
                .hint("move it away and install again")
        })
    }

    /// All complete installs, the newest first. What cannot be read is none.
    #[must_use]
    pub fn complete(&self) -> Vec<Install> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.installs()).into_iter().flatten().flatten() {
            if !is_install_name(&entry.file_name().to_string_lossy()) {
                continue;
            }
            match Install::read(&entry.path()) {
                Ok(install) => found.extend(install),
                Err(error) => log::warn!("{}: {error}", entry.path().display()),
            }
        }
        found.sort_by(|a, b| b.made.total_cmp(&a.made));
        found
    }
}

/// `<id12>-<nonce4>`, both hexadecimal.
pub(crate) fn is_install_name(name: &str) -> bool {
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.split_once('-').is_some_and(|(id, nonce)| hex(id, 12) && hex(nonce, 4))
}

#[cfg(test)]
mod tests {
    use super::is_install_name;

    #[test]
    fn only_our_own_names_are_installs() {
        assert!(is_install_name("0123456789ab-cdef"));
        for name in [".incoming-cdef", "0123456789ab", "0123456789ab-cde", "0123456789ag-cdef", ".lock"] {
            assert!(!is_install_name(name), "{name}");
        }
    }
}
