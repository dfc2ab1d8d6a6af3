//! What makes the environment of a bundle: pixi-unpack on the unpacked members, or the bundle's own script.
use crate::environment;
use archive::HEAD;
use pixi::{Network, set_environment};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tool::{Code, Failure};

/// The environment's name: pixi-unpack makes `<folder>/env` and `<folder>/activate.sh`.
pub(super) const NAME: &str = "env";

/// A program that makes it.
#[derive(Debug)]
pub(super) enum Maker {
    /// pixi-unpack, and the folder of the members.
    Unpacker(PathBuf, PathBuf),
    /// The bundle's own script, by the interpreter that its first line names: it may not be executable, or lie on a disk
    /// without programs.
    Script(Vec<String>, PathBuf),
}

impl Maker {
    /// The script at `path`, which is open as `file`.
    pub(super) fn script(path: &Path, file: &File) -> Result<Self, Failure> {
        let mut head = [0; HEAD];
        let read = file
            .read_at(&mut head, 0)
            .map_err(|error| Failure::io(Code::Unmet, format!("cannot read {}", path.display()), &error))?;
        let words = elf::first_line(&head[..read]).unwrap_or_default();
        if words.is_empty() {
            let what = format!("cannot run {}", path.display());
            return Err(Failure::new(Code::Input, what, "its first line names no interpreter"));
        }
        Ok(Self::Script(words, path.to_owned()))
    }

    /// The program.
    pub(super) fn program(&self) -> &Path {
        match self {
            Self::Unpacker(program, _) => program,
            Self::Script(words, _) => Path::new(&words[0]),
        }
    }

    /// Let `command`, which runs the program, make the environment in `attempt`. All that is temporary goes to `tmp`.
    pub(super) fn prepare(&self, command: &mut Command, attempt: &Path, tmp: &Path) {
        if let Self::Script(words, path) = self {
            command.args(&words[1..]).arg(path);
        }
        command.arg("-o").arg(attempt).args(["-e", NAME]);
        if let Self::Unpacker(_, members) = self {
            // What it writes into activate.sh is not to hang on who installs.
            command.arg(members).env("PATH", environment::PATH);
        }
        // Caches too.
        let names = ["HOME", "XDG_CACHE_HOME", "RATTLER_CACHE_DIR", "UV_CACHE_DIR", "PIP_CACHE_DIR"];
        let variables = names.map(|name| (name.to_owned(), tmp.display().to_string()));
        set_environment(command, &BTreeMap::from(variables), tmp, Network::Offline);
        command.current_dir(attempt);
    }
}
