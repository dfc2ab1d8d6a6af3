//! One read: the file's bytes go to the hash, on a thread of its own, and to the unpacker; decompressing and writing are
//! two threads more.
use crate::unpack::chunks::{Chunk, Chunks, Tee, fill};
use crate::unpack::zip::At;
use crate::unpack::{HEAD, Kind, Root, Trouble, tar, xz, zip};
use base16ct::lower::encode_string as hex;
use bundle::Script;
use flate2::bufread::GzDecoder;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};
use tool::thread::start_scoped;

/// Chunks on their way between two threads: enough to bridge a file's creation, not more.
const AHEAD: usize = 8;

/// sha256 of a file, lower-case hex.
pub(crate) fn hash(file: &File, bar: &ProgressBar) -> Result<String, Trouble> {
    let mut tee = Tee::new(file, None, bar);
    let mut state = Sha256::new();
    loop {
        let chunk = tee.next().map_err(|error| Trouble::reading(&error))?;
        if chunk.is_empty() {
            return Ok(hex(&state.finalize()));
        }
        state.update(&*chunk);
    }
}

/// Unpack `file` into `root` and return its sha256 and kind.
pub(crate) fn unpack(file: &File, root: &mut Root, bar: &ProgressBar) -> Result<String, Trouble> {
    let kind = Kind::of(&head(file)?)?;
    std::thread::scope(|scope| {
        let (to_hash, hasher) = hasher(scope)?;
        match kind {
            Kind::Zip => unpack_zip(file, root, Tee::new(file, Some(to_hash), bar), scope)?,
            _ => unpack_tar(kind, root, Tee::new(file, Some(to_hash), bar), scope)?,
        }
        Ok(join(hasher))
    })
}

/// Unpack a bundle's `file` into `root` and return its sha256. The program that a script carries is written to `program`.
pub(crate) fn unpack_bundle(
    file: &File,
    root: &mut Root,
    program: &Path,
    bar: &ProgressBar,
) -> Result<String, Trouble> {
    let kind = bundle_kind(file)?;
    std::thread::scope(|scope| {
        let (to_hash, hasher) = hasher(scope)?;
        let tee = Tee::new(file, Some(to_hash), bar);
        if kind == Kind::Script {
            let script = Script::begin(tee).map_err(|error| Trouble::reading(&error))?;
            let script = script.ok_or_else(Trouble::no_marker)?;
            walk(scope, root, move |send| decode(script, program, send))?;
        } else {
            unpack_tar(kind, root, tee, scope)?;
        }
        Ok(join(hasher))
    })
}

/// Whether a script is of the make that is unpacked without running it.
pub(crate) fn is_known_script(file: &File) -> Result<bool, Trouble> {
    let script = Script::begin(BufReader::new(At { file, position: 0, size: 0 }));
    script.map(|script| script.is_some()).map_err(|error| Trouble::reading(&error))
}

/// Which kind of bundle a file is.
pub(crate) fn bundle_kind(file: &File) -> Result<Kind, Trouble> {
    Kind::of_bundle(&head(file)?)
}

/// Both parts of a script: the tar is sent on, the program written to its file.
fn decode(
    mut script: Script<Tee<'_>>,
    program: &Path,
    send: &SyncSender<io::Result<Chunk>>,
) -> io::Result<()> {
    if !pump(&mut script, send)? {
        return Ok(());
    }
    script.program()?;
    let mut file = File::options().write(true).create_new(true).mode(0o755).open(program)?;
    io::copy(&mut script, &mut file)?;
    script.end()
}

fn head(file: &File) -> Result<Vec<u8>, Trouble> {
    let mut head = Vec::with_capacity(HEAD);
    let start = At { file, position: 0, size: 0 };
    start.take(HEAD as u64).read_to_end(&mut head).map_err(|error| Trouble::reading(&error))?;
    Ok(head)
}

/// Whose channel is closed ends.
type Hasher<'scope> = (SyncSender<Chunk>, ScopedJoinHandle<'scope, String>);

fn hasher<'scope>(scope: &'scope Scope<'scope, '_>) -> Result<Hasher<'scope>, Trouble> {
    let (send, receive) = sync_channel::<Chunk>(AHEAD);
    let hash = move || {
        let mut state = Sha256::new();
        for chunk in receive {
            state.update(&*chunk);
        }
        hex(&state.finalize())
    };
    let hasher = start_scoped(scope, "hasher", hash).map_err(Trouble::no_thread)?;
    Ok((send, hasher))
}

/// A zip is read where its directory points; the hash reads the file from front to back beside it, out of the same cache.
fn unpack_zip<'scope>(
    file: &File,
    root: &mut Root,
    mut tee: Tee<'scope>,
    scope: &'scope Scope<'scope, '_>,
) -> Result<(), Trouble> {
    let size = file.metadata().map_err(|error| Trouble::reading(&error))?.len();
    let front_to_back = start_scoped(scope, "reader", move || drain(&mut tee)).map_err(Trouble::no_thread)?;
    zip::unpack(BufReader::new(At { file, position: 0, size }), root)?;
    join(front_to_back).map_err(|error| Trouble::reading(&error))
}

fn unpack_tar<'scope>(
    kind: Kind,
    root: &mut Root,
    mut tee: Tee<'scope>,
    scope: &'scope Scope<'scope, '_>,
) -> Result<(), Trouble> {
    walk(scope, root, move |send| decompress(kind, &mut tee, send))
}

/// Unpack the tar that `produce` sends, on a thread of its own.
fn walk<'scope>(
    scope: &'scope Scope<'scope, '_>,
    root: &mut Root,
    produce: impl FnOnce(&SyncSender<io::Result<Chunk>>) -> io::Result<()> + Send + 'scope,
) -> Result<(), Trouble> {
    let (send, receive) = sync_channel(AHEAD);
    // Whoever reads the chunks and gives up closes the channel; the thread then ends at its next chunk.
    let run = move || {
        if let Err(error) = produce(&send) {
            drop(send.send(Err(error)));
        }
    };
    start_scoped(scope, "producer", run).map_err(Trouble::no_thread)?;
    let mut chunks = Chunks::new(receive);
    tar::unpack(&mut chunks, root)?;
    // To the end, so that a checksum there is compared and every byte is hashed.
    drain(&mut chunks).map_err(|error| Trouble::reading(&error))
}

fn decompress(kind: Kind, tee: &mut Tee<'_>, send: &SyncSender<io::Result<Chunk>>) -> io::Result<()> {
    let wanted = match kind {
        Kind::Tar | Kind::Zip | Kind::Script => loop {
            let chunk = tee.next()?;
            if chunk.is_empty() || send.send(Ok(chunk)).is_err() {
                break false;
            }
        },
        Kind::Xz => pump(&mut xz::decoder(&mut *tee)?, send)?,
        Kind::Zstd => pump(&mut zstd::stream::read::Decoder::with_buffer(&mut *tee)?, send)?,
        Kind::Gzip => {
            let mut wanted = pump(&mut GzDecoder::new(&mut *tee), send)?;
            // Further members are part of the file (pigz writes them); anything else after one is not, as gzip has it.
            while wanted && tee.fill_buf()?.starts_with(b"\x1f\x8b") {
                wanted = pump(&mut GzDecoder::new(&mut *tee), send)?;
            }
            wanted
        }
    };
    if wanted { drain(tee) } else { Ok(()) }
}

/// Send all of it on; false once nobody wants more.
fn pump(input: &mut impl Read, send: &SyncSender<io::Result<Chunk>>) -> io::Result<bool> {
    loop {
        let chunk = fill(input)?;
        if chunk.is_empty() {
            return Ok(true);
        }
        if send.send(Ok(Arc::new(chunk))).is_err() {
            return Ok(false);
        }
    }
}

fn drain(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let length = input.fill_buf()?.len();
        if length == 0 {
            return Ok(());
        }
        input.consume(length);
    }
}

/// A thread's result; its panic is ours.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
