//! Which pixi there is.
use crate::{Job, Network, set_environment};
use failure::{Code, Failure};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A version of pixi, of which only the numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = numbers.split('.').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Ok(Self(major, minor, patch)),
            _ => Err(()),
        }
    }
}

/// The pixi on PATH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixi {
    /// The program.
    pub program: PathBuf,
    /// What it says it is.
    pub version: Version,
}

impl Pixi {
    /// Look on PATH, and ask it for its version.
    ///
    /// # Errors
    /// There is none, it does not run, or it says no version.
    pub fn find() -> Result<Self, Failure> {
        let program = on_path("pixi", "put pixi, one file of about 70 MB, into a folder of PATH")?;
        let mut command = std::process::Command::new(&program);
        command.arg("--version");
        set_environment(&mut command, &BTreeMap::new(), &std::env::temp_dir(), Network::Offline);
        let ended = Job::new(command).capture().run("asking pixi for its version")?;
        let what = || format!("cannot use {}", program.display());
        if !ended.status.success() {
            let hint = format!("put a pixi for this machine, {}, first on PATH", std::env::consts::ARCH);
            return Err(ended.failure(what()).hint(hint));
        }
        let said = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        let version = said.strip_prefix("pixi ").unwrap_or(&said).parse().map_err(|()| {
            Failure::new(Code::Unmet, what(), format!("asked for its version it says '{said}'"))
                .hint("put the pixi that made the cache first on PATH")
        })?;
        Ok(Self { program, version })
    }
}

/// A program on PATH, or a failure that says where to get it.
///
/// # Errors
/// It is not there: code 69, with `hint`.
pub fn on_path(name: &str, hint: &str) -> Result<PathBuf, Failure> {
    let found = which::which(name)
        .map_err(|_| Failure::new(Code::Unmet, format!("cannot find {name}"), why_not(name)).hint(hint))?;
    Ok(if found.is_absolute() { found } else { Path::new("/").join(found) })
}

/// PATH may be another user's, whose home is closed to us.
fn why_not(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let near = std::env::split_paths(&path).map(|folder| folder.join(name)).find_map(|file| {
        let verb = match owner::metadata(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => "reach",
            Ok(stat) if stat.is_file() => "execute",
            _ => return None,
        };
        Some(format!(": this user cannot {verb} {}", file.display()))
    });
    format!("it is not on PATH{}", near.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let version = |text: &str| text.parse::<Version>();
        assert!(version("0.68.0").unwrap() < version("0.70.1").unwrap());
        assert_eq!(version("0.77.0-dev+abc").unwrap(), Version(0, 77, 0));
        assert_eq!(Version(0, 77, 0).to_string(), "0.77.0");
        for text in ["", "0.77", "v0.77.0", "0.77.0.1", "pixi"] {
            assert!(version(text).is_err(), "{text}");
        }
    }
}
