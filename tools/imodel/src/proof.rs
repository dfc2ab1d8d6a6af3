//! Hashing a model: to record what it is, or to compare it with what was recorded.
use crate::hashes::{Effort, Hashes, Note};
use crate::manifest::{Manifest, compare_with_hub};
use crate::reader::Reader;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};
use weights::{Finding, Listed, Report, rules};

/// What is to be done with the hashes of a model.
pub(crate) struct Proof {
    /// Write the manifest; else compare with it.
    pub(crate) record: bool,
    /// Where the note of earlier passes is.
    pub(crate) since: Option<PathBuf>,
    /// Threads.
    pub(crate) jobs: usize,
}

/// What came of it.
pub(crate) struct Proved {
    pub(crate) manifest: PathBuf,
    pub(crate) hashed_bytes: u64,
}

impl Proof {
    /// Hash a model's files; what is wrong with them goes to the report. Only a model without problems is recorded.
    ///
    /// # Errors
    /// Nothing could be listed, read, compared with or written: 65 or 69.
    pub(crate) fn of(&self, path: &Path, reader: &Reader, report: &mut Report) -> Result<Proved, Failure> {
        let what = format!("cannot list the files of {}", path.display());
        let listed = reader.act(|| weights::list(path))?;
        let (folder, name, files) = listed.map_err(|error| Failure::io(Code::Unmet, what, &error))?;
        let mut note = self.since.as_deref().map(Note::read).transpose()?;
        let recorded = if self.record { None } else { Some(reader.act(|| Manifest::read(&folder, &name))??) };
        let mut wanted: Vec<&Listed> = files.iter().collect();
        if let Some(manifest) = &recorded {
            report.problems.extend(manifest.compare_names(&files));
            wanted.retain(|file| manifest.is_worth_hashing(file));
        }
        let effort = Effort { reader, jobs: self.jobs };
        let Hashes { of, read_bytes } = effort.hash(&folder, &wanted, note.as_mut())?;
        for (file, hash) in wanted.iter().zip(&of) {
            if let Err(why) = hash {
                let hint = "read it again once nobody writes it";
                let (file, what) = (file.name.clone(), why.clone());
                report.problems.push(Finding { rule: rules::MODEL_UNREADABLE, file, what, hint });
            }
        }
        let hashed =
            || wanted.iter().zip(&of).filter_map(|(file, hash)| Some((*file, hash.as_deref().ok()?)));
        report.problems.extend(compare_with_hub(hashed()));
        match &recorded {
            Some(manifest) => report.problems.extend(manifest.compare_hashes(hashed())),
            None if report.problems.is_empty() => {
                reader.act(|| Manifest::of(hashed()).write(&folder, &name))??;
            }
            None => {}
        }
        if let (Some(note), Some(path)) = (note, &self.since) {
            note.write(path)?;
        }
        Ok(Proved { manifest: folder.join(name), hashed_bytes: read_bytes })
    }
}
