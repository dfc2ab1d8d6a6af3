//! The members of a bundle: what each is, by its path.
use serde::{Deserialize, Serialize};

/// One regular file of a bundle, as it was seen or as the manifest says that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Path in the bundle: `channel/linux-64/x-1-0.conda`.
    pub path: String,
    /// sha256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind<'a> {
    /// `channel/<subdir>/<file>`: a conda package.
    Archive {
        /// `linux-64`, `noarch`.
        subdir: &'a str,
        /// File name.
        file: &'a str,
    },
    /// `channel/<subdir>/repodata.json`: the folder's index.
    Index,
    /// `pypi/<file>`: a wheel.
    Wheel {
        /// File name.
        file: &'a str,
    },
    /// `environment.yml`, for conda and micromamba.
    Environment,
    /// `pixi-pack.json`.
    PackInfo,
    /// Something that pixi-pack does not make.
    Other,
}

impl<'a> MemberKind<'a> {
    /// What the member at `path` is.
    #[must_use]
    pub fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            ["channel", _, "repodata.json"] => Self::Index,
            ["channel", subdir, file] if file.ends_with(".conda") || file.ends_with(".tar.bz2") => {
                Self::Archive { subdir, file }
            }
            ["pypi", file] if file.ends_with(".whl") => Self::Wheel { file },
            ["environment.yml"] => Self::Environment,
            ["pixi-pack.json"] => Self::PackInfo,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_what_a_member_is() {
        let archive = MemberKind::Archive { subdir: "noarch", file: "x-1-0.conda" };
        assert_eq!(MemberKind::of("channel/noarch/x-1-0.conda"), archive);
        assert_eq!(MemberKind::of("channel/noarch/repodata.json"), MemberKind::Index);
        assert_eq!(
            MemberKind::of("pypi/six-1-py3-none-any.whl"),
            MemberKind::Wheel { file: "six-1-py3-none-any.whl" }
        );
        assert_eq!(MemberKind::of("environment.yml"), MemberKind::Environment);
        assert_eq!(MemberKind::of("pixi-pack.json"), MemberKind::PackInfo);
        for path in ["channel/x.conda", "pypi/a/b.whl", "pypi/a.tar.gz", "channel/noarch/x.zip", ""] {
            assert_eq!(MemberKind::of(path), MemberKind::Other, "{path}");
        }
    }
}
