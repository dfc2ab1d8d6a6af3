//! What root opens for another user, who may not be allowed to, and hands down to ourselves as that user.
use crate::source::{self, Sidecar};
use bundle::Manifest;
use child::User;
use record::{Env, Road};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use tool::Failure;

/// The template's file that a bundle is verified by.
pub(crate) const LOCK_FILE: &str = "pixi.lock";
/// In place of the descriptor of a file that is not there.
const ABSENT: RawFd = -1;

/// How the second process learns of it.
#[derive(clap::Args)]
pub(crate) struct Descriptors {
    /// The open source, when root runs us again as another user
    #[arg(long, value_name = "FD", hide = true)]
    source_fd: Option<RawFd>,
    /// The open manifest of a bundle
    #[arg(long, value_name = "FD", hide = true)]
    manifest_fd: Option<RawFd>,
    /// The open pixi.lock of the template
    #[arg(long, value_name = "FD", hide = true)]
    lock_fd: Option<RawFd>,
}

/// What was opened. Nothing, where whoever installs opens it all himself.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) source: Option<OwnedFd>,
    pub(crate) manifest: Sidecar,
    pub(crate) lock: Sidecar,
}

impl Inherited {
    /// Open for `user` what an install is made from and what it is verified by.
    pub(crate) fn open(road: Road, env: &Env, user: &User) -> Result<Self, Failure> {
        let Some(path) = source::source_of(road, env) else { return Ok(Self::default()) };
        let source = Some(source::open_for(path, user)?);
        if road == Road::Archive {
            return Ok(Self { source, ..Self::default() });
        }
        let lock = env.template_dir.as_ref().map(|dir| Sidecar::open(&dir.join(LOCK_FILE), user));
        let manifest = Sidecar::open(&Manifest::path_for(path), user);
        Ok(Self { source, manifest, lock: lock.unwrap_or(Sidecar::Absent) })
    }

    /// Own what was handed down to us, and close whatever else was.
    pub(crate) fn receive(descriptors: &Descriptors) -> io::Result<Self> {
        let Descriptors { source_fd, manifest_fd, lock_fd } = *descriptors;
        let said = [source_fd, manifest_fd, lock_fd];
        if said.iter().all(Option::is_none) {
            return Ok(Self::default());
        }
        let open: Vec<RawFd> = said.into_iter().flatten().filter(|fd| *fd != ABSENT).collect();
        let mut owned = child::only_inherited_all(&open)?.into_iter();
        let mut next = |fd: Option<RawFd>| match fd {
            None => Sidecar::OpenAsUser,
            Some(ABSENT) => Sidecar::Absent,
            Some(_) => owned.next().map_or(Sidecar::OpenAsUser, Sidecar::Open),
        };
        let source = match next(source_fd) {
            Sidecar::Open(fd) => Some(fd),
            _ => None,
        };
        Ok(Self { source, manifest: next(manifest_fd), lock: next(lock_fd) })
    }

    /// The options that name the descriptors to the second process.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let said = |name: &str, sidecar: &Sidecar| {
            let fd = match sidecar {
                Sidecar::Open(fd) => fd.as_raw_fd(),
                Sidecar::Absent => ABSENT,
                Sidecar::OpenAsUser => return None,
            };
            Some(format!("--{name}-fd={fd}"))
        };
        let source = self.source.as_ref().map(|fd| format!("--source-fd={}", fd.as_raw_fd()));
        source.into_iter().chain(said("manifest", &self.manifest)).chain(said("lock", &self.lock)).collect()
    }

    /// All that is open.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let sidecars = [&self.manifest, &self.lock].into_iter().filter_map(|sidecar| match sidecar {
            Sidecar::Open(fd) => Some(fd.as_raw_fd()),
            _ => None,
        });
        self.source.iter().map(AsRawFd::as_raw_fd).chain(sidecars).collect()
    }
}
