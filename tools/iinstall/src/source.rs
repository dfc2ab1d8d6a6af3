//! The file that an install is made from: opened once, by whoever may, and known by how it looks.
#![expect(clippy::disallowed_methods, reason = "opens for ourselves; for another user privsep does")]
use child::User;
use privsep::LinkPolicy;
use record::{Engine, Env, Source};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tool::{Code, Failure, vars};

/// An open file, and how it looked when it was opened.
#[derive(Debug)]
pub(crate) struct OpenSource {
    pub(crate) file: File,
    pub(crate) fingerprint: Source,
}

/// The file that is installed by this road, where it is one file.
pub(crate) fn source_of(road: record::Road, env: &Env) -> Option<&Path> {
    match road {
        record::Road::Archive => env.archive.as_deref(),
        record::Road::Bundle => env.bundle.as_deref(),
        record::Road::Cache => None,
    }
}

/// Open a source. A pipe in its place does not hang us.
pub(crate) fn open(path: &Path) -> Result<OwnedFd, Failure> {
    open_with(path, OFlags::empty()).map_err(|error| unreadable(path, &error.into()))
}

/// Open a source for another user, as root.
pub(crate) fn open_for(path: &Path, user: &User) -> Result<OwnedFd, Failure> {
    privsep::open(path, user, LinkPolicy::Follow).map_err(|error| unreadable(path, &error))
}

/// The same failure to read what is installed, with the variable that names it.
pub(crate) fn named(env: &Env, failure: Failure) -> Failure {
    let suffix = if env.engine == Engine::LlamaCpp { "PKG_PATH" } else { "BUNDLE_PATH" };
    match failure.hint {
        None => failure.hint(format!("{} names it", vars::of(env.engine, suffix))),
        Some(_) => failure,
    }
}

fn open_with(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// A sidecar file of a source, which says what the source should be, or none.
#[derive(Debug, Default)]
pub(crate) enum Sidecar {
    /// It is there.
    Open(OwnedFd),
    /// It is not.
    Absent,
    /// Nobody looked yet.
    #[default]
    OpenAsUser,
}

impl Sidecar {
    /// Open it for somebody who may not. This path is derived: following a link here
    /// would let the user make root open any file.
    pub(crate) fn open(path: &Path, user: &User) -> Self {
        match privsep::open(path, user, LinkPolicy::Refuse) {
            Ok(fd) => Self::Open(fd),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Absent,
            Err(_) => Self::OpenAsUser,
        }
    }

    /// All of it, which is the file at `path`; `None` where there is none. With more than `ceiling` bytes it is not read.
    pub(crate) fn read(self, path: &Path, ceiling: usize) -> Result<Option<Vec<u8>>, Failure> {
        let fd = match self {
            Self::Open(fd) => fd,
            Self::Absent => return Ok(None),
            Self::OpenAsUser => match open_with(path, OFlags::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(unreadable(path, &error.into())),
            },
        };
        let (file, ceiling) = (OpenSource::new(path, fd)?, ceiling as u64);
        let mut bytes = Vec::new();
        if file.fingerprint.size_bytes <= ceiling {
            let read = file.file.take(ceiling.saturating_add(1)).read_to_end(&mut bytes);
            read.map_err(|error| unreadable(path, &error))?;
        }
        if file.fingerprint.size_bytes > ceiling || bytes.len() as u64 > ceiling {
            let cause = format!("it has more than the {ceiling} bytes that such a file may have");
            return Err(Failure::new(Code::Input, format!("cannot read {}", path.display()), cause));
        }
        Ok(Some(bytes))
    }
}

impl OpenSource {
    /// An open descriptor of the file at `path`.
    pub(crate) fn new(path: &Path, fd: OwnedFd) -> Result<Self, Failure> {
        let file = File::from(fd);
        let stat = file.metadata().map_err(|error| unreadable(path, &error))?;
        if stat.is_dir() {
            return Err(unreadable(path, &Errno::ISDIR.into()));
        }
        if !stat.is_file() {
            return Err(Failure::new(
                Code::Unmet,
                format!("cannot read {}", path.display()),
                "not a regular file",
            ));
        }
        let fingerprint = fingerprint(path, &stat);
        Ok(Self { file, fingerprint })
    }

    /// Check that it is still the file that was opened: somebody may be copying over it.
    pub(crate) fn unchanged(&self) -> Result<(), Failure> {
        let path = &self.fingerprint.path;
        let stat = self.file.metadata().map_err(|error| unreadable(path, &error))?;
        if fingerprint(path, &stat) == self.fingerprint {
            return Ok(());
        }
        let what = format!("{} was written to while it was read", path.display());
        Err(Failure::new(Code::Later, what, "its size or times changed")
            .hint("run again when it is all there"))
    }

    /// sha256 of all of it, hex, and that it did not change meanwhile.
    pub(crate) fn hash(&self) -> Result<String, Failure> {
        let bar = tool::bytes_bar(&format!("hashing {}", self.name()), self.fingerprint.size_bytes);
        let what = || format!("cannot read {}", self.fingerprint.path.display());
        let hashed = archive::hash(&self.file, &bar).map_err(|error| error.failure(what()))?;
        bar.finish_and_clear();
        self.unchanged()?;
        Ok(hashed)
    }

    /// Its last component.
    pub(crate) fn name(&self) -> String {
        self.fingerprint.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn fingerprint(path: &Path, stat: &std::fs::Metadata) -> Source {
    Source {
        path: path.to_owned(),
        inode: stat.ino(),
        size_bytes: stat.size(),
        mtime_ns: nanoseconds(stat.mtime(), stat.mtime_nsec()),
        ctime_ns: nanoseconds(stat.ctime(), stat.ctime_nsec()),
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::io(Code::Unmet, format!("cannot read {}", path.display()), error)
}
