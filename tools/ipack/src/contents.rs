//! Reading a bundle as pixi-pack has just written it: every member's hash, and the whole's, in one read.
use base16ct::lower::encode_string as hex;
use bundle::{Member, PackInfo, Script};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use tool::{Code, Failure};

const CHUNK: usize = 256 << 10;
const AHEAD: usize = 8;
/// What pixi-pack says of a bundle has less.
const INFO_CEILING: u64 = 1 << 20;

/// What is in a bundle.
pub(crate) struct Contents {
    /// Of the whole file, hex.
    pub(crate) sha256: String,
    pub(crate) size_bytes: u64,
    /// Every regular file of the tar, in its order.
    pub(crate) members: Vec<Member>,
    pub(crate) info: PackInfo,
    /// Size of the pixi-unpack in a script; 0 in a tar.
    pub(crate) program_bytes: u64,
}

const WHAT: &str = "cannot read what pixi-pack made";

/// Read the bundle at `path`, a script or a tar.
pub(crate) fn read(path: &Path, script: bool) -> Result<Contents, Failure> {
    let (Walk { members, info, program_bytes }, sha256, size_bytes) = walked(path, script)?;
    let lacks = || Failure::new(Code::Input, WHAT, format!("it has no {}", PackInfo::PATH));
    let info = PackInfo::parse(&info.ok_or_else(lacks)?, WHAT)?;
    Ok(Contents { sha256, size_bytes, members, info, program_bytes })
}

impl Contents {
    /// Read it again, once there is less in it.
    pub(crate) fn reread(&mut self, path: &Path) -> Result<(), Failure> {
        let (walk, sha256, size_bytes) = walked(path, false)?;
        (self.members, self.sha256, self.size_bytes) = (walk.members, sha256, size_bytes);
        Ok(())
    }
}

/// What is in it, its sha256 and its size.
fn walked(path: &Path, script: bool) -> Result<(Walk, String, u64), Failure> {
    let damaged = |error: &io::Error| match error.raw_os_error() {
        Some(_) => Failure::io(Code::Unmet, format!("cannot read {}", path.display()), error),
        None => Failure::io(Code::Input, WHAT, error),
    };
    let file = File::open(path).map_err(|error| damaged(&error))?;
    let size_bytes = file.metadata().map_err(|error| damaged(&error))?.len();
    let bar = tool::bytes_bar("checking", size_bytes);
    let (send, receive) = sync_channel::<Vec<u8>>(AHEAD);
    let (walked, sha256) = std::thread::scope(|scope| -> Result<_, Failure> {
        let whole = tool::thread::start_scoped(scope, "hasher", move || {
            let mut hash = Sha256::new();
            receive.iter().for_each(|chunk| hash.update(&chunk));
            hex(&hash.finalize())
        })?;
        let mut walk = Walk::default();
        let input = BufReader::with_capacity(CHUNK, Tee { file: bar.wrap_read(file), send });
        let walked = if script { walk.script(input) } else { walk.archive(input) };
        Ok((walked.map(|()| walk), whole.join().map_err(|_| tool::thread::no_answer("hasher"))?))
    })?;
    bar.finish_and_clear();
    Ok((walked.map_err(|error| damaged(&error))?, sha256, size_bytes))
}

/// sha256 of a file, hex.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut input = BufReader::with_capacity(CHUNK, File::open(path)?);
    copy_until_end(&mut input, |bytes| hash.update(bytes))?;
    Ok(hex(&hash.finalize()))
}

#[derive(Default)]
struct Walk {
    members: Vec<Member>,
    info: Option<Vec<u8>>,
    program_bytes: u64,
}

impl Walk {
    fn archive(&mut self, mut input: impl Read) -> io::Result<()> {
        let mut archive = tar::Archive::new(&mut input);
        for entry in archive.entries()? {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut hash = Sha256::new();
            let mut kept = (path == PackInfo::PATH && entry.size() < INFO_CEILING).then(Vec::new);
            let size_bytes = copy_until_end(&mut BufReader::with_capacity(CHUNK, &mut entry), |bytes| {
                hash.update(bytes);
                if let Some(kept) = &mut kept {
                    kept.extend_from_slice(bytes);
                }
            })?;
            if size_bytes != entry.size() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.info = kept.or(self.info.take());
            self.members.push(Member { path, sha256: hex(&hash.finalize()), size_bytes });
        }
        // The rest belongs to the whole.
        io::copy(&mut input, &mut io::sink()).map(drop)
    }

    fn script(&mut self, input: impl BufRead) -> io::Result<()> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut script = Script::begin(input)?.ok_or_else(|| bad("it has no line @@END_HEADER@@"))?;
        self.archive(&mut script)?;
        script.program()?;
        self.program_bytes = io::copy(&mut script, &mut io::sink())?;
        script.end()
    }
}

/// What is read of a file is sent on too.
struct Tee<R> {
    file: R,
    send: SyncSender<Vec<u8>>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        drop(self.send.send(buffer[..length].to_vec()));
        Ok(length)
    }
}

/// Hand over everything that comes, and say how much it was.
fn copy_until_end(input: &mut impl BufRead, mut sink: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut total = 0;
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(total);
        }
        sink(bytes);
        let length = bytes.len();
        total += length as u64;
        input.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    const INFO: &[u8] = br#"{"version":"1","pixi-pack-version":"0.7.10","platform":"linux-64"}"#;

    fn tar() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let long = format!("pypi/{}.whl", "x".repeat(120));
        for (path, content) in [("pixi-pack.json", INFO), (&long, &[7; 3000])] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, path, content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn script(mark: &str, program: &[u8]) -> Vec<u8> {
        let (tar, program) = (STANDARD.encode(tar()), STANDARD.encode(program));
        format!("#!/bin/bash\nexit\n@@END_HEADER@@\n\n{tar}\n{mark}\n{program}").into_bytes()
    }

    #[test]
    fn a_script_holds_what_the_tar_in_it_holds() {
        let mut of_tar = Walk::default();
        of_tar.archive(&*tar()).unwrap();
        assert_eq!(of_tar.info.as_deref(), Some(INFO));
        assert_eq!((of_tar.members.len(), of_tar.members[1].size_bytes), (2, 3000));
        for capacity in [1, 3, 64, 1 << 20] {
            let mut of_script = Walk::default();
            let text = script("@@END_ARCHIVE@@", b"program");
            of_script.script(BufReader::with_capacity(capacity, &*text)).unwrap();
            assert_eq!((of_script.members, of_script.program_bytes), (of_tar.members.clone(), 7));
        }
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let whole = tar();
        assert!(Walk::default().archive(&whole[..2048]).is_err(), "within a member");
        let text = script("@@END_ARCHIVE@@", b"program");
        for length in [0, 10, 40, 1000, text.len() - 30, text.len() - 12] {
            assert!(Walk::default().script(&text[..length]).is_err(), "{length}");
        }
        for text in [script("@@END@@", b"program"), script("@@END_ARCHIVE@@", b"")] {
            assert!(Walk::default().script(&*text).is_err());
        }
    }
}
