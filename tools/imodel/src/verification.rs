//! Hashing a model: to record what it is, or to compare it with what was recorded or signed.
use crate::expectation::Expected;
use crate::hashes::{HashJob, Hashes, Note};
use crate::key::Key;
use crate::manifest::{Manifest, compare_with_hub};
use crate::reader::Reader;
use crate::signed;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};
use weights::{Finding, Listing, ModelFile, Report, is_model_file, rules};

/// What is to be done with the hashes of a model.
pub(crate) struct Verifier {
    /// Write the manifest.
    pub(crate) record: bool,
    /// Compare with the manifest.
    pub(crate) verify: bool,
    /// Compare with the signature, which has to be one of these keys; none: there need be no signature.
    pub(crate) keys: Vec<Key>,
    /// Where the note of earlier passes is.
    pub(crate) since: Option<PathBuf>,
    /// Threads.
    pub(crate) jobs: usize,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Verification {
    pub(crate) manifest: Option<PathBuf>,
    pub(crate) signature: Option<PathBuf>,
    pub(crate) hashed_bytes: u64,
}

/// What the files of one model are to be compared with.
#[derive(Default)]
struct Comparison<'a> {
    with: Vec<(Expected, Vec<&'a ModelFile>)>,
    problems: Vec<Finding>,
    proved: Verification,
}

impl Verifier {
    /// Hash a model's files; what is wrong with them goes to the report. Only a model without problems is recorded.
    ///
    /// # Errors
    /// Nothing could be listed, read, compared with or written: 65 or 69.
    pub(crate) fn of(
        &self,
        path: &Path,
        reader: &Reader,
        report: &mut Report,
    ) -> Result<Verification, Failure> {
        let what = format!("cannot list the files of {}", path.display());
        let listing = reader.act(|| weights::list(path, !self.keys.is_empty()))?;
        let listing = listing.map_err(|error| Failure::io(Code::Unmet, what, &error))?;
        let mut note = self.since.as_deref().map(Note::read).transpose()?;
        let Comparison { with, problems, mut proved } = self.comparison(path, &listing, reader)?;
        report.problems.extend(problems);
        report.problems.extend(with.iter().flat_map(|(expected, files)| expected.compare_names(files)));
        let compared: BTreeSet<&str> = with
            .iter()
            .flat_map(|(expected, files)| files.iter().filter(|file| expected.is_worth_hashing(file)))
            .map(|file| file.name.as_str())
            .collect();
        let is_wanted = |file: &&ModelFile| {
            self.record && is_model_file(&file.name) || compared.contains(file.name.as_str())
        };
        let wanted: Vec<&ModelFile> = listing.files.iter().filter(is_wanted).collect();
        let effort = HashJob { reader, jobs: self.jobs };
        let Hashes { of, read_bytes } = effort.hash(&listing.folder, &wanted, note.as_mut())?;
        proved.hashed_bytes = read_bytes;
        let hint = "read it again once nobody writes it";
        let unread = wanted.iter().zip(&of).filter_map(|(file, hash)| Some((file, hash.as_ref().err()?)));
        report.problems.extend(unread.map(|(file, why)| unreadable(&file.name, why, hint)));
        let hashed =
            || wanted.iter().zip(&of).filter_map(|(file, hash)| Some((*file, hash.as_deref().ok()?)));
        report.problems.extend(compare_with_hub(hashed()));
        report.problems.extend(with.iter().flat_map(|(expected, _)| expected.compare_hashes(hashed())));
        if self.record && report.problems.is_empty() {
            let recorded = hashed().filter(|(file, _)| is_model_file(&file.name));
            reader.act(|| Manifest::of(recorded).write(&listing.folder, &listing.manifest))??;
        }
        if let (Some(note), Some(path)) = (note, &self.since) {
            note.write(path)?;
        }
        Ok(proved)
    }

    /// What the files are compared with, and what is wrong before they are.
    fn comparison<'a>(
        &self,
        path: &Path,
        listing: &'a Listing,
        reader: &Reader,
    ) -> Result<Comparison<'a>, Failure> {
        let mut all = Comparison::default();
        if self.record || self.verify {
            all.proved.manifest = Some(listing.folder.join(&listing.manifest));
            let hint = "bring the file itself, or remove the entry";
            let of_model = listing.faults.iter().filter(|(name, _)| is_model_file(name));
            all.problems.extend(of_model.map(|(name, why)| unreadable(name, why, hint)));
        }
        if self.verify {
            let manifest = reader.act(|| Manifest::read(&listing.folder, &listing.manifest))??;
            let files = listing.files.iter().filter(|file| is_model_file(&file.name)).collect();
            all.with.push((manifest.expected(), files));
        }
        if !self.keys.is_empty() {
            match reader.act(|| signed::open(path, listing, &self.keys))? {
                Ok(opened) => {
                    all.proved.signature = Some(opened.path);
                    all.problems.extend(opened.faults);
                    all.with.push((opened.expected, opened.files));
                }
                Err(finding) => all.problems.push(finding),
            }
        }
        Ok(all)
    }
}

fn unreadable(file: &str, why: &str, hint: &'static str) -> Finding {
    Finding { rule: rules::MODEL_UNREADABLE, file: file.to_owned(), what: why.to_owned(), hint }
}
