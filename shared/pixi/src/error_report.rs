//! Why a program failed, as far as its last output shows it.
use crate::chain::{chain, plain};

/// What stopped a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The disk is full, or a quota used up.
    NoSpace,
    /// The file system has no locks.
    NoLocks,
    /// The file system is read-only.
    ReadOnly,
    /// It was to stay offline, and wanted what is not there.
    Offline,
    /// The lock file does not have the environment.
    NoEnvironment,
    /// The lock file is newer than the program.
    LockNewer,
    /// The lock file does not satisfy the manifest.
    LockOutdated,
    /// This machine lacks a virtual package: `cuda` where it is `__cuda`.
    Virtual(String),
    /// The path of the environment is longer than what packages leave room for.
    LongPath,
    /// Permission was denied.
    Denied,
    /// A package is no wheel, and pixi-pack packs no others.
    NoWheel,
    /// The bundle is for another platform.
    OtherPlatform,
    /// The program gave up over itself.
    Panic,
    /// Something could not be fetched.
    Download(Download),
    /// None of these.
    Other,
}

/// What kept something from being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Download {
    /// The server answered so; 407 is a proxy.
    Status(u16),
    /// Its certificate is not trusted.
    Certificate,
    /// The proxy leads nowhere.
    Proxy,
    /// Its name is not known.
    Name,
    /// What came is not what it was to be.
    Damaged,
    /// No connection, or one that broke.
    Connection,
    /// It does not say.
    NotStated,
}

impl Download {
    /// Whether a later try may succeed.
    #[must_use]
    pub fn is_transient(self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500..),
            Self::Certificate => false,
            Self::Proxy | Self::Name | Self::Damaged | Self::Connection | Self::NotStated => true,
        }
    }
}

/// The variable that sets the version of a virtual package, in place of the one that pixi detects.
#[must_use]
pub fn override_variable(package: &str) -> String {
    format!("CONDA_OVERRIDE_{}", package.to_uppercase())
}

/// Why a program failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    /// What stopped it.
    pub kind: Kind,
    /// What it could not do, and what decided that, in its own words; empty where it said nothing.
    pub sentence: String,
}

/// Words in lower case that name what happened; the first that is found counts, so that a full disk is not taken for the
/// failed download that it led to.
const ERROR_PATTERNS: [(Kind, &[&str]); 17] = [
    (Kind::NoSpace, &["no space left on device", "disk quota exceeded", "(os error 28)", "(os error 122)"]),
    (Kind::NoLocks, &["no locks available", "(os error 37)"]),
    (Kind::ReadOnly, &["read-only file system", "(os error 30)"]),
    // As pixi itself recognises that it failed for being offline: rattler, its repodata, uv and git.
    (
        Kind::Offline,
        &[
            "network access is disabled",
            "network connectivity is disabled",
            "there is no cache available",
            "sharded index cache for",
            "the shard for package",
            "pixi is in offline mode",
        ],
    ),
    (Kind::NoEnvironment, &["not up-to-date with requested environment", "unknown environment"]),
    (Kind::LockNewer, &["but only up to including version"]),
    (Kind::LockOutdated, &["not up-to-date with"]),
    (Kind::Virtual(String::new()), &VIRTUAL),
    (Kind::LongPath, &["longer than the placeholder prefix"]),
    (Kind::Denied, &["permission denied", "(os error 13)"]),
    (Kind::NoWheel, &["is not a wheel file"]),
    (Kind::OtherPlatform, &["created for a different platform"]),
    (Kind::Panic, &["panicked at "]),
    (
        Kind::Download(Download::Certificate),
        &[
            "invalid peer certificate",
            "certificate verify failed",
            "user-specified roots",
            "self-signed certificate",
        ],
    ),
    (Kind::Download(Download::Proxy), &["tunnel error", "unsuccessful tunnel"]),
    (Kind::Download(Download::Name), &["dns error", "failed to lookup address", "name or service not known"]),
    (Kind::Download(Download::Damaged), &["checksum mismatch", "hash mismatch"]),
];
/// What stands before the name of a virtual package that this machine lacks: where a package wants it, and where a platform of
/// the workspace does.
const VIRTUAL: [&str; 4] = [
    "virtual package '__",
    "missing virtual packages: __",
    "unsatisfied requirements: __",
    "the installed packages also require: __",
];
/// What pixi advises then, after all that is wrong; the platform is there.
const ADVICE: &str = "Add it with 'pixi workspace platform add";
/// Weaker ones, which count where no status is named.
const CONNECTION: [&str; 8] = [
    "connection",
    "timed out",
    "timeout",
    "incomplete message",
    "network is unreachable",
    "error decoding response body",
    "client error (connect)",
    "error sending request",
];
const NOT_STATED: [&str; 4] =
    ["failed to fetch", "failed to download", "could not download", "request failed after"];

impl ErrorReport {
    /// Read the last lines of a program.
    #[must_use]
    pub fn of(tail: &[String]) -> Self {
        let links = chain(tail);
        if links.is_empty() { Self::of_lines(tail) } else { Self::of_chain(&links) }
    }

    /// The error itself, and the cause that decided.
    fn of_chain(links: &[String]) -> Self {
        let (kind, at) = recognised(links);
        let refused = || links.iter().rfind(|link| link.contains(OS_ERROR));
        let decisive = at.and_then(|at| links.get(at)).or_else(refused).or(links.last());
        Self { kind, sentence: sentence(links.first(), decisive) }
    }

    /// Nothing looks like an error: the line that names what happened, else the first that speaks of an error and what the
    /// system refused with, else the last.
    fn of_lines(tail: &[String]) -> Self {
        let mut lines = Vec::from(tail);
        for line in &mut lines {
            line.drain(..line.len() - line.trim_start_matches(is_ornament).len());
        }
        let (kind, at) = match recognised(&lines) {
            (Kind::Other, _) => (recognised(&[plain(tail)]).0, None),
            (kind @ Kind::Download(_), _) => (kind, None),
            known => known,
        };
        let first = match at {
            Some(at) => lines.get(at),
            None => lines.iter().find(|line| line.to_lowercase().contains("error")).or(lines.last()),
        };
        let refused = lines.iter().rfind(|line| line.contains(OS_ERROR)).map(|line| {
            let end = line.find(OS_ERROR).unwrap_or(line.len());
            line[line[..end].rfind(": ").map_or(0, |at| at + 2)..].to_owned()
        });
        Self { kind, sentence: sentence(first, refused.as_ref()) }
    }
}

/// What programs draw before a line: all but what a word or a path begins with.
fn is_ornament(letter: char) -> bool {
    !letter.is_alphanumeric() && !"/.~'\"(<".contains(letter)
}

/// How Rust programs number what the system refused with: `No such file or directory (os error 2)`.
const OS_ERROR: &str = " (os error ";

/// Both, less the system's number, and each once.
fn sentence(first: Option<&String>, decisive: Option<&String>) -> String {
    let words = |said: Option<&String>| {
        let said = said.map_or("", String::as_str);
        match said.split_once(OS_ERROR) {
            Some((before, after)) => before.to_owned() + after.split_once(')').map_or("", |(_, rest)| rest),
            None => said.to_owned(),
        }
    };
    let (first, decisive) = (words(first), words(decisive));
    let first = first.split(ADVICE).next().unwrap_or_default().trim_end().to_owned();
    let decisive = decisive.split(ADVICE).next().unwrap_or_default().trim_end().to_owned();
    if first.contains(&decisive) {
        return first;
    }
    format!("{first}: {decisive}")
}

/// What happened, and which of these messages decided it.
fn recognised(links: &[String]) -> (Kind, Option<usize>) {
    let said: Vec<String> = links.iter().map(|link| link.to_lowercase()).collect();
    let find = |words: &[&str]| said.iter().position(|link| words.iter().any(|word| link.contains(word)));
    for (kind, words) in &ERROR_PATTERNS {
        let Some(at) = find(words) else { continue };
        let kind = match kind {
            // What it said stands below the place.
            Kind::Panic => return (Kind::Panic, None),
            Kind::Virtual(_) => Kind::Virtual(virtual_package(&said[at])),
            Kind::Download(Download::Proxy) if said[at].contains("proxy authorization required") => {
                Kind::Download(Download::Status(407))
            }
            kind => kind.clone(),
        };
        return (kind, Some(at));
    }
    if let Some((at, status)) = said.iter().enumerate().find_map(|(at, link)| Some((at, status(link)?))) {
        return (Kind::Download(Download::Status(status)), Some(at));
    }
    // What broke the connection stands deepest.
    if find(&CONNECTION).is_some() {
        return (Kind::Download(Download::Connection), None);
    }
    let kind = find(&NOT_STATED).map_or(Kind::Other, |_| Kind::Download(Download::NotStated));
    (kind, None)
}

/// The status that a server refused with, as reqwest and pixi-pack say it.
fn status(said: &str) -> Option<u16> {
    ["status client error (", "status server error (", "status: ", "status code "].iter().find_map(|before| {
        let digits = said.split_once(before)?.1.get(..3)?;
        digits.parse().ok().filter(|status| (400..600).contains(status))
    })
}

/// `cuda` of `virtual package '__cuda >=12' does not match any …`, or of `missing virtual packages: __cuda >= 12`.
fn virtual_package(said: &str) -> String {
    let name = VIRTUAL.iter().find_map(|before| said.split_once(before)).map_or("", |(_, name)| name);
    name.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod tests;
