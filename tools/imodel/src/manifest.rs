//! `infer-dev-manifest.json` in a model's folder: what its files were when it was recorded.
use owner::Dir;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;
use tool::{Code, Failure};
use weights::{Finding, Listed, rules};

/// Each file has some 200 bytes of it.
const BYTES: usize = 64 << 20;
const BRING: &str = "bring the file again from where the model was recorded";

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
    pub(crate) fn of<'a>(files: impl Iterator<Item = (&'a Listed, &'a str)>) -> Self {
        let entry = |(file, sha256): (&Listed, &str)| Entry {
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

    /// What differs, before anything is hashed: files that are gone, that came, and that have another size. The others are
    /// to be hashed.
    pub(crate) fn compare_names(&self, files: &[Listed]) -> Vec<Finding> {
        let here: BTreeMap<&str, u64> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
        let mut findings = Vec::new();
        for entry in &self.files {
            match here.get(entry.path.as_str()) {
                None => findings.push(finding(
                    rules::WEIGHTS_MISSING,
                    &entry.path,
                    "it is in the manifest, and not here",
                    BRING,
                )),
                Some(size) if *size != entry.size_bytes => {
                    let what = format!("it has {size} bytes, and {} when it was recorded", entry.size_bytes);
                    findings.push(finding(rules::WEIGHTS_CHANGED, &entry.path, &what, BRING));
                }
                Some(_) => {}
            }
        }
        let known = self.hashes();
        for file in files.iter().filter(|file| !known.contains_key(file.name.as_str())) {
            let hint = "remove it, or record the model again where it belongs to it";
            findings.push(finding(rules::WEIGHTS_CHANGED, &file.name, "it is not in the manifest", hint));
        }
        findings
    }

    /// What differs of files that were hashed.
    pub(crate) fn compare_hashes<'a>(
        &self,
        files: impl Iterator<Item = (&'a Listed, &'a str)>,
    ) -> Vec<Finding> {
        let known = self.hashes();
        let differs = |(file, sha256): (&Listed, &str)| {
            let recorded = known.get(file.name.as_str())?;
            let what = format!("its sha256 is {sha256}, and {recorded} when it was recorded");
            (*recorded != sha256).then(|| finding(rules::WEIGHTS_CHANGED, &file.name, &what, BRING))
        };
        files.filter_map(differs).collect()
    }

    /// Whether the file is there and has the size that was recorded.
    pub(crate) fn is_worth_hashing(&self, file: &Listed) -> bool {
        self.files.iter().any(|entry| entry.path == file.name && entry.size_bytes == file.size)
    }

    fn hashes(&self) -> BTreeMap<&str, &str> {
        self.files.iter().map(|entry| (entry.path.as_str(), entry.sha256.as_str())).collect()
    }
}

/// Files that are not what the hub's tools noted when they fetched them.
pub(crate) fn compare_with_hub<'a>(files: impl Iterator<Item = (&'a Listed, &'a str)>) -> Vec<Finding> {
    let differs = |(file, sha256): (&Listed, &str)| {
        let noted = file.hub_sha256.as_deref()?;
        let what = format!("its sha256 is {sha256}, and {noted} where it was fetched from");
        (noted != sha256).then(|| finding(rules::WEIGHTS_CHANGED, &file.name, &what, "fetch the file again"))
    };
    files.filter_map(differs).collect()
}

fn finding(rule: &'static str, file: &str, what: &str, hint: &'static str) -> Finding {
    Finding { rule, file: file.to_owned(), what: what.to_owned(), hint }
}
