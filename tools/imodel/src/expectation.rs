//! What the files of a model have to be, whoever said so, and what of them is not so.
use std::collections::BTreeMap;
use weights::{Finding, ModelFile};

/// What one file has to be.
#[derive(Clone, Debug)]
pub(crate) struct ExpectedFile {
    /// Bytes, where that was said.
    pub(crate) size: Option<u64>,
    /// Lower-case hex.
    pub(crate) sha256: String,
}

/// How the findings are worded, and under which rules they go.
#[derive(Debug)]
pub(crate) struct Wording {
    /// Rules of a file that is not there, and of one that is another.
    pub(crate) rules: (&'static str, &'static str),
    /// Of a file that is not there.
    pub(crate) gone: &'static str,
    /// Of one that nothing was said of.
    pub(crate) came: &'static str,
    /// When it was said, to follow what was.
    pub(crate) when: &'static str,
    /// What to do about files that are gone or changed, and about those that came.
    pub(crate) hints: (&'static str, &'static str),
}

/// All files of a model, by name.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) files: BTreeMap<String, ExpectedFile>,
    pub(crate) words: &'static Wording,
}

impl Expected {
    /// What differs before anything is hashed: files that are gone, that came, and that have another size.
    pub(crate) fn compare_names(&self, files: &[&ModelFile]) -> Vec<Finding> {
        let Wording { rules, gone, came, when, hints } = self.words;
        let here: BTreeMap<&str, u64> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
        let mut findings = Vec::new();
        for (name, wanted) in &self.files {
            match (here.get(name.as_str()), wanted.size) {
                (None, _) => findings.push(finding(rules.0, name, gone, hints.0)),
                (Some(size), Some(wanted)) if *size != wanted => {
                    let what = format!("it has {size} bytes, and {wanted} {when}");
                    findings.push(finding(rules.1, name, &what, hints.0));
                }
                _ => {}
            }
        }
        let unknown = files.iter().filter(|file| !self.files.contains_key(&file.name));
        findings.extend(unknown.map(|file| finding(rules.1, &file.name, came, hints.1)));
        findings
    }

    /// What differs of files that were hashed.
    pub(crate) fn compare_hashes<'a>(
        &self,
        files: impl Iterator<Item = (&'a ModelFile, &'a str)>,
    ) -> Vec<Finding> {
        let Wording { rules, when, hints, .. } = self.words;
        let differs = |(file, sha256): (&ModelFile, &str)| {
            let wanted = &self.files.get(&file.name).filter(|_| self.is_worth_hashing(file))?.sha256;
            let what = format!("its sha256 is {sha256}, and {wanted} {when}");
            (wanted != sha256).then(|| finding(rules.1, &file.name, &what, hints.0))
        };
        files.filter_map(differs).collect()
    }

    /// Whether the file is expected, and nothing is known to differ yet.
    pub(crate) fn is_worth_hashing(&self, file: &ModelFile) -> bool {
        self.files.get(&file.name).is_some_and(|wanted| wanted.size.is_none_or(|wanted| wanted == file.size))
    }
}

fn finding(rule: &'static str, file: &str, what: &str, hint: &'static str) -> Finding {
    Finding { rule, file: file.to_owned(), what: what.to_owned(), hint }
}
