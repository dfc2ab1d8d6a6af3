//! `infer-dev-manifest.json` in a model's folder: what its files were when it was recorded.
use crate::expectation::{Expected, ExpectedFile, Wording};
use owner::Dir;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::SystemTime;
use tool::{Code, Failure};
use weights::{Finding, ModelFile, rules};

/// Each file has some 200 bytes of it.
const BYTES: usize = 64 << 20;

const WORDING: Wording = Wording {
    rules: (rules::WEIGHTS_MISSING, rules::WEIGHTS_CHANGED),
    gone: "it is in the manifest, and not here",
    came: "it is not in the manifest",
    when: "when it was recorded",
    hints: (
        "bring the file again from where the model was recorded",
        "remove it, or record the model again where it belongs to it",
    ),
};

/// Format 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    created_unix: u64,
    files: Vec<Entry>,
}

/// One file of the manifest.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: String,
    size_bytes: u64,
    sha256: String,
}

impl Manifest {
    /// What these files are now. Each has its hash by now.
    pub(crate) fn of<'a>(files: impl Iterator<Item = (&'a ModelFile, &'a str)>) -> Self {
        let entry = |(file, sha256): (&ModelFile, &str)| Entry {
            path: file.name.clone(),
            size_bytes: file.size,
            sha256: sha256.to_owned(),
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { format: 1, created_unix: now.as_secs(), files: files.map(entry).collect() }
    }

    /// Read the manifest of this name in a folder, with the rights that we have.
    ///
    /// # Errors
    /// There is none, or it cannot be read (69); it is none (65).
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Self, Failure> {
        let path = folder.join(name);
        let what = format!("cannot use the manifest {}", path.display());
        let bytes = owner::read_file(&path, BYTES).map_err(|error| {
            Failure::io(Code::Unmet, what.clone(), &error)
                .hint("write it where the model is whole, with imodel --record, and bring it along")
        })?;
        let wrong = |cause: String| {
            Failure::new(Code::Input, what.clone(), cause)
                .hint("write it again with imodel --record, or bring it again")
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        match manifest.format {
            1 => Ok(manifest),
            format => Err(wrong(format!("it has format {format}; 1 is understood"))),
        }
    }

    /// Write it in one step.
    ///
    /// # Errors
    /// 69: it cannot be written.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<(), Failure> {
        let path = folder.join(name);
        let cannot = |error: &std::io::Error| {
            Failure::io(Code::Unmet, format!("cannot write the manifest {}", path.display()), error)
        };
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| cannot(&error.into()))?;
        text.push(b'\n');
        let written = Dir::open(folder).and_then(|dir| dir.replace_for_good(name, 0o644, &text));
        written.map_err(|error| cannot(&error))
    }

    /// What the files have to be.
    pub(crate) fn expected(self) -> Expected {
        let wanted = |entry: Entry| {
            (
                entry.path,
                ExpectedFile { size: Some(entry.size_bytes), sha256: entry.sha256.to_ascii_lowercase() },
            )
        };
        Expected { files: self.files.into_iter().map(wanted).collect(), words: &WORDING }
    }
}

/// Files that are not what the hub's tools noted when they fetched them.
pub(crate) fn compare_with_hub<'a>(files: impl Iterator<Item = (&'a ModelFile, &'a str)>) -> Vec<Finding> {
    let differs = |(file, sha256): (&ModelFile, &str)| {
        let noted = file.hub_sha256.as_deref().filter(|noted| *noted != sha256)?;
        let what = format!("its sha256 is {sha256}, and {noted} where it was fetched from");
        let (rule, file) = (rules::WEIGHTS_CHANGED, file.name.clone());
        Some(Finding { rule, file, what, hint: "fetch the file again" })
    };
    files.filter_map(differs).collect()
}
