//! Which parts there are: descriptions read, sorted by the whole that they belong to, and one whole chosen.
use part::{DESCRIPTION_BYTES, DescriptionError, Parity, Part, WholeFile};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tool::{Code, Failure, io_text};

/// A bad part, or missing ones.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) text: String,
    /// The first part that has this problem, and how many have it.
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) code: Code,
}

/// A file that is or says it is a certain part. There may be several copies of one part.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// Its description, or why it is no good.
    pub(crate) part: Result<Part, PartError>,
}

/// Why a part is no good.
#[derive(Clone, Debug)]
pub(crate) struct PartError {
    pub(crate) cause: String,
    pub(crate) code: Code,
}

impl PartError {
    pub(crate) fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), code: Code::No }
    }

    /// Who may not read a part looks at permissions; what the medium does not give is a bad part.
    pub(crate) fn io(error: &io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::PermissionDenied { Code::Unmet } else { Code::No };
        Self { cause: io_text(error), code }
    }
}

/// The parts of one whole.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) whole: WholeFile,
    pub(crate) parts: BTreeMap<u64, Vec<Candidate>>,
    /// Files that say they are parity parts of it.
    pub(crate) parities: Vec<(PathBuf, Parity)>,
    /// Files without a name that hold parts which were rebuilt: they last as long as this.
    pub(crate) rebuilt: Vec<File>,
}

/// A file that has no valid description of a part.
struct UndescribedFile {
    path: PathBuf,
    bad: PartError,
    /// It was named on the command line, or begins as a part does: it cannot be passed over.
    ours: bool,
    foreign: bool,
}

impl Set {
    /// Look at all files and choose the whole.
    pub(crate) fn gather(paths: &[PathBuf], wanted: Option<&str>) -> Result<Self, Failure> {
        let (mut wholes, mut undescribed) = (BTreeMap::<WholeFile, Vec<Candidate>>::new(), Vec::new());
        let mut parities = Vec::new();
        for (path, named) in files(paths)? {
            match read(&path) {
                Ok(part) => {
                    let whole = part.whole.clone();
                    wholes.entry(whole).or_default().push(Candidate { path, part: Ok(part) });
                }
                Err(DescriptionError::NotAPart) if let Some(parity) = read_parity(&path) => {
                    // All of its parts may be lost.
                    wholes.entry(parity.whole.clone()).or_default();
                    parities.push((path, parity));
                }
                Err(DescriptionError::Newer(format)) => {
                    let what = format!("cannot read {}", path.display());
                    let cause = format!("it is a part of format {format}, and this ijoin knows format 1");
                    return Err(Failure::new(Code::Input, what, cause));
                }
                Err(unreadable) => undescribed.push(UndescribedFile::new(path, unreadable, named)),
            }
        }
        let (whole, found) = choose(wholes, wanted, (paths, &undescribed))?;
        parities.retain(|(_, parity): &(PathBuf, Parity)| parity.whole == whole);
        let mut set = Self { whole, parts: BTreeMap::new(), parities, rebuilt: Vec::new() };
        for candidate in found {
            let index = candidate.part.as_ref().map_or(0, |part| part.index);
            set.parts.entry(index).or_default().push(candidate);
        }
        set.add_undescribed(undescribed)?;
        Ok(set)
    }

    /// What cannot describe itself may still have the name of a part.
    fn add_undescribed(&mut self, undescribed: Vec<UndescribedFile>) -> Result<(), Failure> {
        for UndescribedFile { path, bad, ours, foreign } in undescribed {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            match part::parse_part_name(name, &self.whole.name) {
                Some((index, count)) if count == self.whole.count() && (1..=count).contains(&index) => {
                    let bad = if foreign { PartError::new("its description is damaged") } else { bad };
                    self.parts.entry(index).or_default().push(Candidate { path, part: Err(bad) });
                }
                _ if !ours => log::info!("{} is no part", path.display()),
                _ => return Err(bad.failure(&path)),
            }
        }
        Ok(())
    }

    /// Whether every part is there with the size that it should have: all that can be said without reading them.
    pub(crate) fn looks_complete(&self) -> bool {
        let good = |candidate: &Candidate| candidate.open().is_ok();
        self.parts.len() as u64 == self.whole.count() && self.parts.values().all(|all| all.iter().any(good))
    }

    /// The sha256 of the whole up to the end of a part, where a part that is there knows it.
    pub(crate) fn sha256_after(&self, index: u64) -> Option<&str> {
        let described =
            |index| self.parts.get(&index)?.iter().find_map(|candidate| candidate.part.as_ref().ok());
        let last = (index == self.whole.count()).then_some(self.whole.sha256.as_str());
        let own = described(index).map(|part| part.after_sha256.as_str());
        last.or(own).or_else(|| Some(described(index + 1)?.before_sha256.as_str()))
    }

    pub(crate) fn missing(&self, first: u64, last: u64) -> Problem {
        let (name, count) = (self.whole.part_name(first), self.whole.count());
        let text = if first == last {
            format!("part {first} of {count} is missing: no {name}")
        } else {
            format!(
                "parts {first} to {last} of {count} are missing: no {name} to {}",
                self.whole.part_name(last)
            )
        };
        Problem { text, first, count: last - first + 1, code: Code::No }
    }

    pub(crate) fn bad(&self, index: u64, (path, bad): (&Path, PartError)) -> Problem {
        let text =
            format!("part {index} of {} is bad: {}: {}", self.whole.count(), path.display(), bad.cause);
        Problem { text, first: index, count: 1, code: bad.code }
    }
}

impl Candidate {
    /// The open file, where its data begin, if it has the right size.
    pub(crate) fn open(&self) -> Result<(File, &Part), PartError> {
        let part = self.part.as_ref().map_err(Clone::clone)?;
        let mut file = owner::open_file(&self.path).map_err(|error| PartError::io(&error))?;
        let length = file.metadata().map_err(|error| PartError::io(&error))?.len();
        let right = part.file_bytes();
        if length < right {
            return Err(PartError::new(format!("truncated, {length} of {right} bytes")));
        }
        if length > right {
            return Err(PartError::new(format!("too long, {length} bytes, not {right}")));
        }
        file.seek(SeekFrom::Start(DESCRIPTION_BYTES as u64)).map_err(|error| PartError::io(&error))?;
        Ok((file, part))
    }
}

impl UndescribedFile {
    fn new(path: PathBuf, unreadable: DescriptionError, named: bool) -> Self {
        let foreign = matches!(unreadable, DescriptionError::NotAPart);
        let (bad, ours) = match unreadable {
            DescriptionError::Io(error) => (PartError::io(&error), named),
            DescriptionError::Damaged(cause) => (PartError::new(cause), true),
            _ => (PartError::new("it is not a part of a split file"), named),
        };
        Self { path, bad, ours, foreign }
    }
}

impl PartError {
    fn failure(&self, path: &Path) -> Failure {
        let code = if self.code == Code::No { Code::Input } else { self.code };
        Failure::new(code, format!("cannot join {}", path.display()), self.cause.clone())
    }
}

/// The files to look at, and whether each was named itself.
fn files(paths: &[PathBuf]) -> Result<Vec<(PathBuf, bool)>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let cannot =
            |error: io::Error| Failure::io(Code::Unmet, format!("cannot read {}", path.display()), &error);
        let looks = path.metadata().map_err(cannot)?;
        if looks.is_file() {
            files.push((path.clone(), true));
            continue;
        }
        if !looks.is_dir() {
            // What a pipe holds is there once, and a part is read twice.
            return Err(cannot(io::Error::other("not a regular file")));
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            // A pipe or a device among the parts is not waited for.
            if path.metadata().is_ok_and(|looks| looks.is_file()) {
                inside.push((path, false));
            }
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Part, DescriptionError> {
    Part::read(&mut owner::open_file(path).map_err(DescriptionError::Io)?)
}

/// The description of a file that is a parity part.
fn read_parity(path: &Path) -> Option<Parity> {
    Parity::read(&mut owner::open_file(path).ok()?).ok()
}

type CandidatesByFile = BTreeMap<WholeFile, Vec<Candidate>>;

fn choose(
    mut wholes: CandidatesByFile,
    wanted: Option<&str>,
    (paths, undescribed): (&[PathBuf], &[UndescribedFile]),
) -> Result<(WholeFile, Vec<Candidate>), Failure> {
    let there: Vec<String> = wholes.iter().map(|(whole, parts)| describe(whole, parts.len())).collect();
    let places = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if let Some(wanted) = wanted {
        let lower = wanted.to_ascii_lowercase();
        wholes.retain(|whole, _| {
            whole.name == wanted || (lower.len() >= 4 && whole.sha256.starts_with(&lower))
        });
    }
    match wholes.len() {
        1 => wholes.pop_first().ok_or_else(|| no_set_found(&places)),
        0 if there.is_empty() => Err(undescribed
            .iter()
            .find(|file| file.ours)
            .map_or_else(|| no_set_found(&places), |file| file.bad.failure(&file.path))),
        0 => {
            let what = format!("no part of {} in {places}", wanted.unwrap_or_default());
            Err(Failure::new(Code::Input, what, format!("there are parts of {}", there.join("; "))))
        }
        count => {
            let what = format!("cannot tell which of {count} files to join from {places}");
            let hint = "choose with --whole NAME, or the beginning of its sha256, or name its parts alone";
            Err(Failure::new(Code::Input, what, format!("there are parts of {}", there.join("; ")))
                .hint(hint))
        }
    }
}

fn no_set_found(places: &str) -> Failure {
    let cause = "no file there describes itself as one that isplit made";
    Failure::new(Code::Input, format!("no parts of a split file in {places}"), cause)
}

fn describe(whole: &WholeFile, files: usize) -> String {
    let sha256 = whole.sha256.get(..16).unwrap_or(&whole.sha256);
    format!("{} (sha256 {sha256}…, {files} of {} parts)", whole.name, whole.count())
}
