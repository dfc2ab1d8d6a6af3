//! Packages that are put into the bundle beside those of the lock file: that what went in is what was named.
use crate::contents::sha256_of;
use bundle::{Member, MemberKind};
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// A file that was named, and its hash.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    path: PathBuf,
    name: String,
    sha256: String,
}

impl Injected {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a member of the bundle is this file.
    fn is(&self, member: &Member) -> bool {
        let (MemberKind::Archive { file, .. } | MemberKind::Wheel { file }) = MemberKind::of(&member.path)
        else {
            return false;
        };
        file == self.name
    }
}

/// All that were named. Whether they fit is pixi-pack's to say.
pub(crate) fn all(paths: &[PathBuf]) -> Result<Vec<Injected>, Failure> {
    paths.iter().map(|path| one(path)).collect()
}

fn one(path: &Path) -> Result<Injected, Failure> {
    let what = || format!("cannot put {} into a bundle", path.display());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if ![".conda", ".tar.bz2", ".whl"].iter().any(|ending| name.ends_with(ending)) {
        return Err(Failure::new(Code::Usage, what(), "its name is that of no package")
            .hint("a package ends in .conda, .tar.bz2 or .whl"));
    }
    let absolute = std::path::absolute(path);
    let read = absolute.and_then(|path| Ok((sha256_of(&path)?, path)));
    let (sha256, path) = read.map_err(|error| Failure::io(Code::Unmet, what(), &error))?;
    Ok(Injected { path, name, sha256 })
}

/// The members that are to be those of the lock file.
pub(crate) fn without(injected: &[Injected], members: &[Member]) -> Result<Vec<Member>, Failure> {
    for file in injected {
        let wrong = |cause: &str| {
            let what = format!("{} is not in the bundle as it was named", file.path.display());
            Failure::new(Code::Input, what, cause)
        };
        let of_name = members.iter().filter(|member| file.is(member)).collect::<Vec<_>>();
        match of_name[..] {
            [] => return Err(wrong("pixi-pack left it out")),
            [one] if one.sha256 == file.sha256 => {}
            [_] => {
                return Err(
                    wrong("another file of its name is there").hint("the lock file has it, or it changed")
                );
            }
            _ => return Err(wrong("it is there more than once")),
        }
    }
    Ok(members.iter().filter(|member| !injected.iter().any(|file| file.is(member))).cloned().collect())
}

/// Their paths in the bundle.
pub(crate) fn paths(injected: &[Injected], members: &[Member]) -> Vec<String> {
    let theirs = members.iter().filter(|member| injected.iter().any(|file| file.is(member)));
    theirs.map(|member| member.path.clone()).collect()
}
