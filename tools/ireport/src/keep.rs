//! Keep a stream while it goes by.
//!
//! The folder may be a user's. Root makes the file with that user's rights and writes it itself: a process of the user could
//! be stopped by the user, and would show what was set for us.
use crate::{moment, run};
use record::{Error, Reader, Record};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use tool::{Code, Failure, Outcome, io_text, vars};

/// What a pipe holds.
const CHUNK: usize = 64 << 10;

/// Hand standard input on, and write it to a file of its own where INFER_DEV_KEEP names a folder. That it cannot be kept
/// ends nothing. The exit code is the stream's, as at the end of every pipeline.
pub(crate) fn keep(name: &str) -> Result<Outcome, Failure> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        let failure =
            Failure::new(Code::Usage, "--keep wants a name", "it is how the name of the file begins");
        return Err(failure.hint("such as ireport --keep boot"));
    }
    let folder = std::env::var_os(vars::INFER_DEV_KEEP).filter(|folder| !folder.is_empty());
    let folder = folder.as_deref().map(Path::new);
    let mut copy = Copy { kept: folder.and_then(|folder| make(folder, name)), refused: None };
    let code = first_code(BufReader::with_capacity(CHUNK, &mut copy))?;
    if let (Some(kept), Some(folder)) = (&copy.kept, folder) {
        kept.sync_all().unwrap_or_else(|error| warn(folder, &error));
    }
    match copy.refused {
        // A reader that went away is no failure.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io(Code::Unmet, "cannot write standard output", &error))
        }
        _ => Ok(run::outcome(code)),
    }
}

/// A file for the owner of the folder alone, in a folder that is made like that. Whatever has its name already is not
/// written to.
fn make(folder: &Path, name: &str) -> Option<File> {
    let name = format!("{name}-{}-{}.jsonl", moment::compact(tool::now_unix()), std::process::id());
    let made = owner::make_private_folder(folder).and_then(|dir| dir.make_file(name, 0o600));
    made.inspect_err(|error| warn(folder, error)).ok()
}

fn warn(folder: &Path, error: &io::Error) {
    let (what, folder) = ("warning: the records are not kept", folder.display());
    tool::note("ireport", &format!("{what}: {} is '{folder}': {}", vars::INFER_DEV_KEEP, io_text(error)));
}

/// Read to the end: the code of the first `failed`, 0 where there is none. After a line that is no record there is none.
fn first_code(mut input: impl io::BufRead) -> Result<u8, Failure> {
    let mut code = None;
    let cannot = |error: io::Error| Failure::io(Code::Input, "cannot read standard input", &error);
    let mut reader = Reader::new(&mut input);
    loop {
        match reader.read() {
            Ok(Some(line)) => {
                if let Some(Record::Failed(failed)) = line.record {
                    code.get_or_insert(failed.code);
                }
            }
            Ok(None) => return Ok(code.unwrap_or(0)),
            Err(Error::Read(error)) => return Err(cannot(error)),
            Err(Error::Malformed { .. }) => break,
        }
    }
    io::copy(&mut input, &mut io::sink()).map_err(cannot)?;
    Ok(code.unwrap_or(0))
}

/// Standard input, each piece of which is written to the file and to standard output before it is read.
struct Copy {
    kept: Option<File>,
    /// What standard output came to. The file goes on.
    refused: Option<io::Error>,
}

impl Read for Copy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = io::stdin().lock().read(buffer)?;
        let piece = &buffer[..read];
        if let Some(error) = self.kept.as_mut().and_then(|kept| kept.write_all(piece).err()) {
            tool::note("ireport", &format!("warning: the records are kept no further: {}", io_text(&error)));
            self.kept = None;
        }
        if self.refused.is_none() {
            self.refused = hand_on(piece).err();
        }
        Ok(read)
    }
}

fn hand_on(piece: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(piece).and_then(|()| out.flush())
}
