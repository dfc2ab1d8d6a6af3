//! What is split: a file, or standard input.
use part::{Chunk, Chunks};
use std::fs::File;
use std::io::{self, IsTerminal, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use tool::{Code, Failure};

/// The open input.
pub(crate) struct Source {
    /// The name of the whole.
    pub(crate) name: String,
    /// Its size, where that is known before the end.
    pub(crate) size_bytes: Option<u64>,
    /// What messages call it.
    label: String,
    file: File,
    chunks: Chunks,
    read_bytes: u64,
}

impl Source {
    pub(crate) fn open(path: Option<&Path>, name: Option<String>) -> Result<Self, Failure> {
        let own = path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let name = name.or(own).ok_or_else(|| {
            let hint = "give the parts' name, as in: … | isplit --name bundle.tar -d DIR";
            Failure::new(Code::Usage, "what is split has no name", "it is not a file").hint(hint)
        })?;
        if !part::is_name(&name) {
            let cause = "a name has 1 to 240 bytes, no slash and no control character";
            return Err(Failure::new(
                Code::Usage,
                format!("cannot name the parts '{}'", name.escape_debug()),
                cause,
            ));
        }
        let label = path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        let open = path.map_or_else(standard_input, File::open);
        let cannot = |error: &io::Error| Failure::io(Code::Unmet, format!("cannot read {label}"), error);
        let mut file = open.map_err(|error| cannot(&error))?;
        if path.is_none() && file.is_terminal() {
            let hint = "name a file, or pipe it in";
            return Err(
                Failure::new(Code::Usage, "standard input is a terminal", "nothing to split").hint(hint)
            );
        }
        let looks = file.metadata().map_err(|error| cannot(&error))?;
        if looks.is_dir() {
            let hint = "split an archive of it, as in: tar -cf - DIR | isplit --name DIR.tar -d PARTS";
            return Err(
                Failure::new(Code::Unmet, format!("cannot read {label}"), "Is a directory").hint(hint)
            );
        }
        // Somebody may have read the beginning of standard input already.
        let size_bytes =
            looks.is_file().then(|| looks.len().saturating_sub(file.stream_position().unwrap_or(0)));
        Ok(Self { name, size_bytes, label, file, chunks: Chunks::default(), read_bytes: 0 })
    }

    /// The next piece, of at most `limit` bytes; an empty one is the end.
    pub(crate) fn next(&mut self, limit: u64) -> Result<Chunk, Failure> {
        let read = self.chunks.read(&mut self.file, limit);
        let chunk =
            read.map_err(|error| Failure::io(Code::Unmet, format!("cannot read {}", self.label), &error))?;
        self.read_bytes += chunk.bytes().len() as u64;
        let over = self.size_bytes.is_some_and(|size| self.read_bytes > size);
        let short = chunk.bytes().is_empty() && self.size_bytes.is_some_and(|size| self.read_bytes < size);
        if over || short {
            let cause = "its size changed while it was read";
            return Err(Failure::new(Code::Input, format!("cannot split {}", self.label), cause));
        }
        Ok(chunk)
    }
}

fn standard_input() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}
