//! To standard output: what was written cannot be taken back, so each part is read and checked before it is read again and
//! written. The next part is checked while one is written.
use crate::digester::start_digester;
use crate::set::{Candidate, PartError, Problem, Set};
use part::{CHUNK_BYTES, Chunks, Digester, Hasher};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tool::{Code, Failure};

/// A part, and its first good copy, or the first bad one and why.
type Checked = (u64, Result<Candidate, (Candidate, PartError)>);

/// Standard output, and what was written to it.
pub(crate) struct Stdout {
    out: File,
    digester: Digester,
    bar: indicatif::ProgressBar,
    /// The part that comes next; none where part of a part was written that turned out bad.
    pub(crate) next: Option<u64>,
}

impl Stdout {
    pub(crate) fn open(set: &Set) -> Result<Self, Failure> {
        let out = match io::stdout().as_fd().try_clone_to_owned() {
            Ok(descriptor) => descriptor.into(),
            Err(error) => return Err(cannot_write(&error)),
        };
        let bar = tool::bytes_bar(&format!("joining {}", set.whole.name), set.whole.size_bytes);
        Ok(Self { out, digester: start_digester()?, bar, next: Some(1) })
    }

    /// Write the whole from the next part up to the first that is bad or missing; all that are.
    pub(crate) fn write(&mut self, set: &Set) -> Result<Vec<Problem>, Failure> {
        let Some(first) = self.next else { return Ok(Vec::new()) };
        let parts = set.parts.clone().split_off(&first);
        let (mut problems, mut chunks) = (Vec::new(), Chunks::default());
        for (index, checked) in check_ahead(parts)? {
            match checked {
                Ok(candidate) if problems.is_empty() => {
                    if let Err(bad) = self.copy(&candidate, &mut chunks)? {
                        self.next = None;
                        problems.push(set.bad(index, (&candidate.path, bad)));
                    } else {
                        self.next = Some(index + 1);
                    }
                }
                Ok(_) => {}
                Err((candidate, bad)) => problems.push(set.bad(index, (&candidate.path, bad))),
            }
        }
        self.bar.finish_and_clear();
        Ok(problems)
    }

    /// A part that was found good, read again.
    fn copy(&mut self, candidate: &Candidate, chunks: &mut Chunks) -> Result<Result<(), PartError>, Failure> {
        let Self { out, digester, bar, .. } = self;
        let mut copy = |chunk: &part::Chunk| {
            digester.feed(chunk);
            bar.inc(chunk.bytes().len() as u64);
            out.write_all(chunk.bytes()).map_err(|error| cannot_write(&error))
        };
        let after = recheck(candidate, chunks, &mut copy)?;
        Ok(after.and_then(|after| {
            let same = digester.digest() == after;
            if same { Ok(()) } else { Err(PartError::new("its data differ each time they are read")) }
        }))
    }
}

/// Read a good part again; the digest that the whole then has.
fn recheck(
    candidate: &Candidate,
    chunks: &mut Chunks,
    copy: &mut impl FnMut(&part::Chunk) -> Result<(), Failure>,
) -> Result<Result<String, PartError>, Failure> {
    let (mut file, part) = match candidate.open() {
        Ok(opened) => opened,
        Err(bad) => return Ok(Err(bad)),
    };
    let mut left = part.size_bytes;
    while left > 0 {
        match chunks.read(&mut file, left) {
            Ok(chunk) if chunk.bytes().is_empty() => break,
            Ok(chunk) => {
                left -= chunk.bytes().len() as u64;
                copy(&chunk)?;
            }
            Err(error) => return Ok(Err(PartError::io(&error))),
        }
    }
    Ok(Ok(part.after_sha256.clone()))
}

/// Check every part in a thread of its own, which is at most one part ahead.
fn check_ahead(parts: BTreeMap<u64, Vec<Candidate>>) -> Result<Receiver<Checked>, Failure> {
    let (send, receive) = sync_channel(0);
    tool::thread::start("checker", move || check_all(parts, &send))?;
    Ok(receive)
}

fn check_all(parts: BTreeMap<u64, Vec<Candidate>>, send: &SyncSender<Checked>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    for (index, candidates) in parts {
        let mut first_bad = None;
        let mut good = None;
        for candidate in candidates {
            match check(&candidate, &mut buffer) {
                Ok(()) => {
                    good = Some(candidate);
                    break;
                }
                Err(bad) => drop(first_bad.get_or_insert((candidate, bad))),
            }
        }
        if let (Some(_), Some((candidate, bad))) = (&good, &first_bad) {
            log::warn!("{} is bad, another copy of it is good: {}", candidate.path.display(), bad.cause);
        }
        let Some(checked) = good.map(Ok).or(first_bad.map(Err)) else { continue };
        if send.send((index, checked)).is_err() {
            return;
        }
    }
}

pub(crate) fn check(candidate: &Candidate, buffer: &mut [u8]) -> Result<(), PartError> {
    let (file, part) = candidate.open()?;
    let right = digest(&mut file.take(part.size_bytes), buffer)? == part.sha256;
    if right { Ok(()) } else { Err(PartError::new("its data do not have its sha256")) }
}

/// sha256 of what is left to read.
pub(crate) fn digest(input: &mut impl Read, buffer: &mut [u8]) -> Result<String, PartError> {
    let mut hasher = Hasher::default();
    loop {
        match input.read(buffer) {
            Ok(0) => return Ok(hasher.digest()),
            Ok(count) => hasher.feed(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(PartError::io(&error)),
        }
    }
}

fn cannot_write(error: &io::Error) -> Failure {
    Failure::io(Code::Unmet, "cannot write standard output", error)
}
