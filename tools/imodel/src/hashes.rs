//! The sha256 of a model's files, by as many threads as there are processors, and what an earlier pass knew of them.
use crate::reader::Reader;
use owner::Dir;
use part::Hasher;
use rustix::fs::{Advice, fadvise};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tool::{Code, Failure};
use weights::ModelFile;

const BUFFER_BYTES: usize = 1 << 18;
const NOTE_BYTES: usize = 256 << 20;
/// A file that changed so shortly before a pass may change again without looking any different.
const UNSETTLED: Duration = Duration::from_millis(50);

/// A file's fingerprint, and its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownHash {
    size_bytes: u64,
    mtime_ns: i128,
    ctime_ns: i128,
    inode: u64,
    sha256: String,
}

/// What earlier passes knew, for `--since`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    format: u32,
    files: BTreeMap<PathBuf, KnownHash>,
}

impl Note {
    /// Read a note; a missing or empty file knows nothing.
    ///
    /// # Errors
    /// It cannot be read (69), or is none (65).
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let what = || format!("cannot use the note {}", path.display());
        let bytes = match owner::read_named(path, NOTE_BYTES) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|error| Failure::io(Code::Unmet, what(), &error))?,
        };
        if bytes.is_empty() {
            return Ok(Self { format: 1, ..Self::default() });
        }
        let note: Option<Self> = serde_json::from_slice(&bytes).ok();
        note.filter(|note| note.format == 1).ok_or_else(|| {
            Failure::new(Code::Input, what(), "it is not the note of an earlier pass")
                .hint("name another file, or remove it")
        })
    }

    /// Write it in one step.
    ///
    /// # Errors
    /// 69: it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let cannot = |error: std::io::Error| {
            Failure::io(Code::Unmet, format!("cannot write the note {}", path.display()), &error)
        };
        let path = std::path::absolute(path).map_err(cannot)?;
        let name = path.file_name().unwrap_or_default();
        let text = serde_json::to_vec(self).map_err(|error| cannot(error.into()))?;
        let folder = Dir::open(path.parent().unwrap_or(Path::new("/"))).map_err(cannot)?;
        folder.replace(name, 0o644, &text).map_err(cannot)
    }

    fn hash_of(&self, path: &Path, file: &ModelFile) -> Option<String> {
        let known = self.files.get(path)?;
        (*known == KnownHash::of(file, &known.sha256)).then(|| known.sha256.clone())
    }
}

impl KnownHash {
    fn of(file: &ModelFile, sha256: &str) -> Self {
        let ModelFile { size, mtime_ns, ctime_ns, inode, .. } = *file;
        Self { size_bytes: size, mtime_ns, ctime_ns, inode, sha256: sha256.to_owned() }
    }
}

/// The files of a folder and their hashes.
#[derive(Debug)]
pub(crate) struct Hashes {
    /// In the order of the files that were given; the cause where one could not be read.
    pub(crate) of: Vec<Result<String, String>>,
    /// Bytes that were read.
    pub(crate) read_bytes: u64,
}

/// How files are hashed.
#[derive(Clone, Copy)]
pub(crate) struct HashJob<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) jobs: usize,
}

impl HashJob<'_> {
    /// Hash all files of a folder. Those that look as the note knows them have its hash; it learns of the others.
    ///
    /// # Errors
    /// We may not have the reader's rights: 69.
    pub(crate) fn hash(
        self,
        folder: &Path,
        files: &[&ModelFile],
        note: Option<&mut Note>,
    ) -> Result<Hashes, Failure> {
        let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let known = |file: &ModelFile| note.as_ref()?.hash_of(&folder.join(&file.name), file);
        let mut of: Vec<Option<Result<String, String>>> =
            files.iter().map(|file| known(file).map(Ok)).collect();
        let unread: Vec<usize> = (0..files.len()).filter(|at| of[*at].is_none()).collect();
        let read_bytes = unread.iter().map(|at| files[*at].size).sum();
        let bar = tool::bytes_bar(&folder.display().to_string(), read_bytes);
        let hash = |share: &Vec<usize>| {
            self.reader.act(|| {
                let mut buffer = vec![0; BUFFER_BYTES];
                let one = |at: &usize| {
                    (
                        *at,
                        hash_file(&folder.join(&files[*at].name), files[*at].size, &mut buffer, &|read| {
                            bar.inc(read);
                        }),
                    )
                };
                share.iter().map(one).collect::<Vec<_>>()
            })
        };
        for done in tool::thread::each("hash", &shares(&unread, files, self.jobs), hash) {
            done??.into_iter().for_each(|(at, hash)| of[at] = Some(hash));
        }
        bar.finish_and_clear();
        let of: Vec<Result<String, String>> =
            of.into_iter().map(|hash| hash.unwrap_or_else(|| Err("it was not read".to_owned()))).collect();
        if let Some(note) = note {
            let settled = i128::try_from(begun.saturating_sub(UNSETTLED).as_nanos()).unwrap_or(0);
            for (file, hash) in files.iter().zip(&of) {
                match hash {
                    Ok(hash) if file.mtime_ns.max(file.ctime_ns) < settled => {
                        note.files.insert(folder.join(&file.name), KnownHash::of(file, hash));
                    }
                    _ => drop(note.files.remove(&folder.join(&file.name))),
                }
            }
        }
        Ok(Hashes { of, read_bytes })
    }
}

/// The files for each thread: the largest first, each to the one that has the least to do.
fn shares(unread: &[usize], files: &[&ModelFile], jobs: usize) -> Vec<Vec<usize>> {
    let mut shares: Vec<(u64, Vec<usize>)> = vec![(0, Vec::new()); jobs.clamp(1, unread.len().max(1))];
    let mut by_size = unread.to_vec();
    by_size.sort_by_key(|at| std::cmp::Reverse(files[*at].size));
    for at in by_size {
        if let Some(share) = shares.iter_mut().min_by_key(|share| share.0) {
            share.0 += files[at].size;
            share.1.push(at);
        }
    }
    shares.into_iter().map(|share| share.1).collect()
}

/// Hash so many bytes of a file; one that goes on is being written, maybe without end.
fn hash_file(path: &Path, size: u64, buffer: &mut [u8], progress: &dyn Fn(u64)) -> Result<String, String> {
    let words = |error: std::io::Error| tool::io_text(&error);
    let mut file = owner::open_file(path).map_err(words)?;
    // Only advice: what does not take it is read all the same.
    fadvise(&file, 0, NonZeroU64::new(size), Advice::Sequential).ok();
    let (mut hasher, mut left) = (Hasher::default(), size);
    loop {
        let length = match file.read(buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.map_err(words)?,
        };
        left = left.checked_sub(length as u64).ok_or("it grew while it was read")?;
        hasher.feed(&buffer[..length]);
        progress(length as u64);
    }
    if left > 0 { Err("it became shorter while it was read".to_owned()) } else { Ok(hasher.digest()) }
}
