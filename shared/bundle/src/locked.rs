//! A bundle's packages against pixi.lock: neither pixi-pack nor pixi-unpack compares them.
use crate::{Member, MemberKind, Problem};
use lock::{Conda, LockFile, Origin, Package, Pypi, percent_decode};
use std::collections::BTreeMap;

/// What came of comparing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Packages whose hash the lock has and the bundle's file has too.
    pub proved: u64,
    /// Packages that the lock names and has no hash of: paths in the bundle.
    pub unproved: Vec<String>,
}

/// A package that the bundle should hold.
struct Expected<'a> {
    subdir: Option<&'a str>,
    sha256: Option<&'a str>,
}

/// Packages by file name, percent-decoded. The same name may be in two subdirs.
type ExpectedByName<'a> = BTreeMap<String, Vec<Expected<'a>>>;

/// Compare all members of a bundle with the packages of one environment on one platform.
#[must_use]
pub fn check(members: &[Member], packages: &[Package]) -> Comparison {
    let (mut archives, mut wheels, mut built) = (ExpectedByName::new(), ExpectedByName::new(), Vec::new());
    for package in packages {
        match package {
            Package::Conda(conda) if conda.source => built.push(conda),
            Package::Conda(conda) => {
                let (subdir, sha256) = (conda.subdir.as_deref(), conda.sha256.as_deref());
                expect(&mut archives, conda.archive_name(), subdir, sha256);
            }
            Package::Pypi(pypi) => {
                // What is no wheel pixi-pack leaves out, where it was told to.
                if let Some(name) = wheel(pypi) {
                    expect(&mut wheels, name, None, pypi.sha256.as_deref());
                }
            }
        }
    }
    let mut comparison = Comparison::default();
    for member in members {
        match MemberKind::of(&member.path) {
            MemberKind::Archive { subdir, file } => match take(&mut archives, file, Some(subdir)) {
                Some(expected) => comparison.check_hash(member, &expected),
                // pixi-pack builds source packages; the lock knows their names alone.
                None if built.iter().any(|conda| is_of(conda, file)) => {
                    comparison.unproved.push(member.path.clone());
                }
                None => comparison.problems.push(Problem::Foreign { path: member.path.clone() }),
            },
            MemberKind::Wheel { file } => match take(&mut wheels, file, None) {
                Some(expected) => comparison.check_hash(member, &expected),
                None => comparison.problems.push(Problem::Foreign { path: member.path.clone() }),
            },
            MemberKind::Other => comparison.problems.push(Problem::Foreign { path: member.path.clone() }),
            MemberKind::Index | MemberKind::Environment | MemberKind::PackInfo => {}
        }
    }
    comparison.report_missing("channel/", archives);
    comparison.report_missing("pypi/", wheels);
    comparison
}

/// Compare with the lock file's environment for `subdir`. Where it has several platforms of that subdir, which version 7
/// allows, pixi-pack took the first; that is the one that fits best. `None`: it has no such environment or platform.
#[must_use]
pub fn compare(members: &[Member], lock: &LockFile, environment: &str, subdir: &str) -> Option<Comparison> {
    let platforms = lock.environments.get(environment)?.platforms.values();
    let fitting = platforms.filter(|platform| platform.subdir == subdir);
    fitting.map(|platform| check(members, &platform.packages)).min_by_key(|found| found.problems.len())
}

impl Comparison {
    fn check_hash(&mut self, member: &Member, expected: &Expected<'_>) {
        match expected.sha256 {
            None => self.unproved.push(member.path.clone()),
            Some(hash) if hash.eq_ignore_ascii_case(&member.sha256) => self.proved += 1,
            Some(hash) => self.problems.push(Problem::WrongHash {
                path: member.path.clone(),
                expected: hash.to_owned(),
                found: member.sha256.clone(),
            }),
        }
    }

    fn report_missing(&mut self, folder: &str, named: ExpectedByName<'_>) {
        for (name, expected) in named {
            self.problems.extend(expected.into_iter().map(|expected| {
                let subdir = expected.subdir.map(|subdir| format!("{subdir}/")).unwrap_or_default();
                Problem::Missing { path: format!("{folder}{subdir}{name}") }
            }));
        }
    }
}

fn expect<'a>(
    named: &mut ExpectedByName<'a>,
    name: String,
    subdir: Option<&'a str>,
    sha256: Option<&'a str>,
) {
    named.entry(name).or_default().push(Expected { subdir, sha256 });
}

/// The package of this name, taken out: a second file of the name is one too many.
fn take<'a>(named: &mut ExpectedByName<'a>, file: &str, subdir: Option<&str>) -> Option<Expected<'a>> {
    let expected = named.get_mut(&percent_decode(file))?;
    let fits = |e: &Expected<'_>| e.subdir.is_none() || subdir.is_none() || e.subdir == subdir;
    let at = expected.iter().position(fits)?;
    let taken = expected.swap_remove(at);
    if expected.is_empty() {
        named.remove(&percent_decode(file));
    }
    Some(taken)
}

/// The file that pixi-pack makes of a Python package: its wheel, from an index or from a path.
fn wheel(pypi: &Pypi) -> Option<String> {
    pypi.wheel_name().or_else(|| match &pypi.origin {
        Origin::Path { path } => {
            let name = path.file_name()?.to_str()?;
            name.ends_with(".whl").then(|| percent_decode(name))
        }
        _ => None,
    })
}

/// Whether an archive is of this package, by the name before its version and build.
fn is_of(conda: &Conda, file: &str) -> bool {
    file.rsplitn(3, '-').nth(2).is_some_and(|name| name == conda.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version: 6
environments:
  default:
    channels: []
    packages:
      linux-64:
      - conda: http://x.invalid/c/linux-64/zlib-1.3-h1.conda
      - conda: http://x.invalid/c/noarch/tz-1-0.tar.bz2
      - conda: ./own
      - pypi: http://x.invalid/torch-2.9%2Bcu128-py3-none-any.whl
      - pypi: ./wheels/local-1-py3-none-any.whl
      - pypi: http://x.invalid/old-1.tar.gz
packages:
- conda: http://x.invalid/c/linux-64/zlib-1.3-h1.conda
  sha256: aa
- conda: http://x.invalid/c/noarch/tz-1-0.tar.bz2
  sha256: bb
- conda: ./own
  name: own
  version: '1'
  build: h0
  subdir: linux-64
- pypi: http://x.invalid/torch-2.9%2Bcu128-py3-none-any.whl
  name: torch
  version: 2.9+cu128
  sha256: cc
- pypi: ./wheels/local-1-py3-none-any.whl
  name: local
  version: '1'
- pypi: http://x.invalid/old-1.tar.gz
  name: old
  version: '1'
  sha256: dd
";

    fn members(of: &[(&str, &str)]) -> Vec<Member> {
        of.iter()
            .map(|(path, hash)| Member {
                path: (*path).to_owned(),
                sha256: (*hash).to_owned(),
                size_bytes: 1,
            })
            .collect()
    }

    const RIGHT: [(&str, &str); 8] = [
        ("channel/linux-64/repodata.json", "?"),
        ("channel/linux-64/zlib-1.3-h1.conda", "aa"),
        ("channel/noarch/tz-1-0.tar.bz2", "bb"),
        ("channel/linux-64/own-1-h0_0.conda", "?"),
        ("pypi/torch-2.9+cu128-py3-none-any.whl", "cc"),
        ("pypi/local-1-py3-none-any.whl", "?"),
        ("environment.yml", "?"),
        ("pixi-pack.json", "?"),
    ];

    fn compared(of: &[(&str, &str)]) -> Comparison {
        let lock = LockFile::parse(LOCK.as_bytes()).unwrap();
        compare(&members(of), &lock, "default", "linux-64").unwrap()
    }

    #[test]
    fn a_bundle_as_pixi_pack_makes_it_has_no_problems() {
        let found = compared(&RIGHT);
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        assert_eq!((found.proved, found.unproved.len()), (3, 2));
    }

    #[test]
    fn each_difference_is_named() {
        let mut of = RIGHT.to_vec();
        of[1].1 = "ab";
        of[2].0 = "channel/linux-64/tz-1-0.tar.bz2";
        of[4] = ("pypi/evil-1-py3-none-any.whl", "cc");
        of.push(("pypi/local-1-py3-none-any.whl", "?"));
        of.push(("readme", "?"));
        let texts: Vec<String> = compared(&of).problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "channel/linux-64/zlib-1.3-h1.conda has sha256 ab, not aa",
                "channel/linux-64/tz-1-0.tar.bz2 is one too many",
                "pypi/evil-1-py3-none-any.whl is one too many",
                "pypi/local-1-py3-none-any.whl is one too many",
                "readme is one too many",
                "channel/noarch/tz-1-0.tar.bz2 is missing",
                "pypi/torch-2.9+cu128-py3-none-any.whl is missing",
            ]
        );
    }

    #[test]
    fn another_environment_or_platform_is_none() {
        let lock = LockFile::parse(LOCK.as_bytes()).unwrap();
        assert_eq!(compare(&[], &lock, "gpu", "linux-64"), None);
        assert_eq!(compare(&[], &lock, "default", "linux-aarch64"), None);
    }
}
