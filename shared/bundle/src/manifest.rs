//! `<bundle>.json`, beside the bundle: what was packed, so that the receiver can verify that all of it arrived.
use crate::{BYTE_ORDER_MARK, HAS_BYTE_ORDER_MARK, Member, Problem};
use failure::{Code, Failure};
use owner::Dir;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The manifest. Newer optional fields are ignored; another format is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub format: u64,
    /// The bundle's file name when it was made.
    pub bundle: String,
    /// sha256 of the bundle's file, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// The conda subdir that it is for.
    pub platform: String,
    /// pixi environment name.
    pub pixi_env: String,
    /// sha256 of the `pixi.lock` that it was packed from.
    pub lock_sha256: String,
    /// When it was made, unix seconds.
    pub created_unix: f64,
    /// Versions of what made it: `pixi`, `pixi-pack`, `ipack`.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// What packing it downloaded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub downloaded_bytes: Option<u64>,
    /// Members that are not of the lock file: their paths.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub injected: Vec<String>,
    /// How many packages were left out, as another machine has them. What holds not all is no bundle to install.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left_out: Option<u64>,
    /// Every regular file of the tar, in its order. Of a self-extracting `.sh`: of the tar inside.
    pub members: Vec<Member>,
}

/// Read before anything else, so that another format is named and not misread.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl Manifest {
    /// The format that is written and read.
    pub const FORMAT: u64 = 1;

    /// More bytes than any has: each member has some 200.
    pub const CEILING_BYTES: usize = 64 << 20;

    /// Where the manifest of a bundle is: its whole file name and `.json`.
    #[must_use]
    pub fn path_for(bundle: &Path) -> PathBuf {
        let mut name = bundle.file_name().unwrap_or_default().to_owned();
        name.push(".json");
        bundle.with_file_name(name)
    }

    /// The manifest with these bytes, which are those of the file at `path`.
    ///
    /// # Errors
    /// It is malformed or of another format (65).
    pub fn of(bytes: &[u8], path: &Path) -> Result<Self, Failure> {
        Self::parse(bytes).map_err(|cause| {
            Failure::new(Code::Input, format!("cannot read {}", path.display()), cause)
                .hint("bring the bundle's manifest again, or move this file away to go without it")
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let malformed = |error: serde_json::Error| {
            let cause = if bytes.starts_with(BYTE_ORDER_MARK) {
                HAS_BYTE_ORDER_MARK.to_owned()
            } else {
                error.to_string()
            };
            format!("it is not a bundle's manifest: {cause}")
        };
        let Format { format } = serde_json::from_slice(bytes).map_err(malformed)?;
        if format != Self::FORMAT {
            return Err(format!("its format is {format}, a newer infer-dev may have written it"));
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }

    /// Write it to `path`, in one step and for good.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Dir::open(path.parent().unwrap_or(Path::new("/")))?.replace_for_good(name, 0o644, &text)
    }

    /// Those of these members that are to be compared with a lock file: all but the injected.
    #[must_use]
    pub fn locked(&self, members: &[Member]) -> Vec<Member> {
        members.iter().filter(|member| !self.injected.contains(&member.path)).cloned().collect()
    }

    /// What is wrong with these members, which are all of the bundle's.
    #[must_use]
    pub fn problems(&self, members: &[Member]) -> Vec<Problem> {
        let mut expected: BTreeMap<&str, &Member> =
            self.members.iter().map(|member| (member.path.as_str(), member)).collect();
        let mut problems = Vec::new();
        for member in members {
            let path = member.path.clone();
            let Some(said) = expected.remove(member.path.as_str()) else {
                problems.push(Problem::Foreign { path });
                continue;
            };
            if said.size_bytes != member.size_bytes {
                let (expected, found) = (said.size_bytes, member.size_bytes);
                problems.push(Problem::WrongSize { path, expected, found });
            } else if !said.sha256.eq_ignore_ascii_case(&member.sha256) {
                let (expected, found) = (said.sha256.clone(), member.sha256.clone());
                problems.push(Problem::WrongHash { path, expected, found });
            }
        }
        problems.extend(expected.into_keys().map(|path| Problem::Missing { path: path.to_owned() }));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str, hash: &str, size_bytes: u64) -> Member {
        Member { path: path.to_owned(), sha256: hash.to_owned(), size_bytes }
    }

    fn manifest() -> Manifest {
        Manifest {
            format: 1,
            bundle: "x.tar".to_owned(),
            sha256: "00".to_owned(),
            size_bytes: 10,
            platform: "linux-64".to_owned(),
            pixi_env: "default".to_owned(),
            lock_sha256: "11".to_owned(),
            created_unix: 1.5,
            versions: BTreeMap::from([("pixi-pack".to_owned(), "0.7.10".to_owned())]),
            downloaded_bytes: None,
            injected: Vec::new(),
            left_out: None,
            members: vec![member("a", "aa", 1), member("b", "bb", 2), member("c", "cc", 3)],
        }
    }

    #[test]
    fn it_is_named_after_the_whole_name_of_the_bundle() {
        assert_eq!(Manifest::path_for(Path::new("/x/y.tar.gz")), Path::new("/x/y.tar.gz.json"));
    }

    #[test]
    fn it_is_read_as_it_was_written_and_newer_fields_are_ignored() {
        let mut value = serde_json::to_value(manifest()).unwrap();
        value["new"] = 1.into();
        assert_eq!(Manifest::parse(value.to_string().as_bytes()), Ok(manifest()));
        value["format"] = 2.into();
        assert!(Manifest::parse(value.to_string().as_bytes()).unwrap_err().contains("its format is 2"));
        for text in ["", "{}", r#"{"format":1}"#, "[1]"] {
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn every_difference_is_named() {
        assert!(manifest().problems(&manifest().members).is_empty());
        let found = [member("a", "AA", 1), member("b", "bX", 2), member("c", "cc", 4), member("d", "dd", 1)];
        let texts: Vec<String> = manifest().problems(&found).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["b has sha256 bX, not bb", "c has 4 bytes, not 3", "d is one too many"]);
        assert_eq!(manifest().problems(&found[..2])[1], Problem::Missing { path: "c".to_owned() });
    }
}
