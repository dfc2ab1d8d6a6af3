//! What was signed: the files of a model and their hashes, in an in-toto statement.
use crate::expectation::{Expected, ExpectedFile, Wording};
use part::Hasher;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use weights::rules::MODEL_SIGNATURE;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";
/// What versions before 1.0 wrote: each file is a subject.
const PREDICATE_BEFORE_1_0: &str = "https://model_signing/Digests/v0.1";

/// What is left out whoever signs.
const GIT_FILES: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

const WORDING: Wording = Wording {
    rules: (MODEL_SIGNATURE, MODEL_SIGNATURE),
    gone: "it was signed, and is not here",
    came: "it is here, and was not signed",
    when: "when it was signed",
    hints: ("fetch the model again from its publisher", "remove it, unless you know what it is"),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Option<Predicate>,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
    digest: Digest,
}

#[derive(Deserialize)]
struct Digest {
    sha256: String,
}

#[derive(Deserialize)]
struct Predicate {
    serialization: Option<Serialization>,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    ignore_paths: Vec<String>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

/// The files that were signed, and what was left out.
pub(crate) struct Signed {
    files: BTreeMap<String, ExpectedFile>,
    ignored: Vec<PathBuf>,
}

impl Signed {
    /// What a payload says.
    ///
    /// # Errors
    /// It is of another kind, or does not agree with itself, in words.
    pub(crate) fn of(payload: &[u8]) -> Result<Self, String> {
        let statement: Statement = serde_json::from_slice(payload)
            .map_err(|error| format!("what it signs is not understood: {error}"))?;
        if statement.kind != STATEMENT {
            return Err(format!("it signs '{}'; {STATEMENT} is understood", statement.kind));
        }
        match statement.predicate_type.as_str() {
            PREDICATE => Self::of_files(statement),
            PREDICATE_BEFORE_1_0 => {
                let file = |subject: Subject| (subject.name, subject.digest.sha256);
                Self::new(statement.subject.into_iter().map(file), &[])
            }
            other => Err(format!("it signs '{other}'; {PREDICATE} is understood")),
        }
    }

    fn of_files(statement: Statement) -> Result<Self, String> {
        let Some(Predicate { serialization: Some(how), resources }) = statement.predicate else {
            return Err("it does not say how the files were hashed".to_owned());
        };
        if (how.method.as_str(), how.hash_type.as_str()) != ("files", "sha256") {
            return Err(format!(
                "it signs {} of {}; sha256 of files is understood",
                how.hash_type, how.method
            ));
        }
        let [whole] = statement.subject.as_slice() else {
            return Err(format!("it signs {} models, and one is right", statement.subject.len()));
        };
        let mut hasher = Hasher::default();
        for resource in &resources {
            if resource.algorithm != "sha256" {
                return Err(format!("it signs {} by {}", resource.name, resource.algorithm));
            }
            hasher.feed(&bytes(&resource.digest).ok_or_else(|| no_hash(&resource.name))?);
        }
        if hasher.digest() != whole.digest.sha256 {
            return Err("the files that it names are not those that it signs".to_owned());
        }
        Self::new(resources.into_iter().map(|it| (it.name, it.digest)), &how.ignore_paths)
    }

    fn new(files: impl Iterator<Item = (String, String)>, ignored: &[String]) -> Result<Self, String> {
        let file = |(name, sha256): (String, String)| match bytes(&sha256) {
            Some(_) => Ok((name, ExpectedFile { size: None, sha256: sha256.to_ascii_lowercase() })),
            None => Err(no_hash(&name)),
        };
        // One that leads out of the model leaves nothing of it out.
        let plain = |path: &&str| {
            Path::new(path).components().all(|it| matches!(it, Component::Normal(_) | Component::CurDir))
        };
        let ignored = ignored.iter().map(String::as_str).filter(plain).chain(GIT_FILES);
        Ok(Self {
            files: files.map(file).collect::<Result<_, _>>()?,
            ignored: ignored.map(|path| Path::new(path).components().collect()).collect(),
        })
    }

    /// Whether a file was signed.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Whether a file was left out when it was signed.
    pub(crate) fn leaves_out(&self, name: &str) -> bool {
        self.ignored.iter().any(|ignored| Path::new(name).starts_with(ignored))
    }

    /// What the files of the whole folder have to be.
    pub(crate) fn whole(self) -> Expected {
        Expected { files: self.files, words: &WORDING }
    }

    /// What some of its files have to be, by the names that they have here, and the names that were signed.
    pub(crate) fn of_some(mut self, names: impl Iterator<Item = (String, String)>) -> Expected {
        let files = names.filter_map(|(here, signed)| Some((here, self.files.remove(&signed)?))).collect();
        Expected { files, words: &WORDING }
    }
}

fn no_hash(name: &str) -> String {
    format!("what it signs for {name} is no sha256")
}

/// The bytes of a sha256 in hex.
fn bytes(hex: &str) -> Option<[u8; 32]> {
    base16ct::mixed::decode_vec(hex).ok()?.try_into().ok()
}
