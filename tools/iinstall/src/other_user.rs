//! Installing for another user: what takes root is done here, the rest by ourselves again, as that user.
//!
//! The second process reads the engine's records on its stdin and writes its records to us; the source and what verifies
//! for it, which the user may not be able to open, are handed down open.
use crate::args::Args;
use crate::inherited::Inherited;
use crate::request::Request;
use crate::{road, source};
use child::User;
use install::{INSTALLS, READ_ONLY};
use privsep::{Folders, RecordFilter, Rerun};
use record::{Env, Record};
use std::path::{Path, PathBuf};
use tool::{Code, Failure, Io, StopSignals};

/// Do it all as `user`.
pub(crate) fn act(args: &Args, request: &Request<'_>, user: &User, io: &mut Io) -> Result<(), Failure> {
    let env = request.env;
    // Before it is obeyed, what was done until then is said.
    let signals = StopSignals::hold()?;
    let mut folders = Folders::default();
    let ended = prepare(args, env, user, &mut folders).and_then(|inherited| {
        let roots = || env.home().map(|install_root| roots(install_root, user)).unwrap_or_default();
        let rerun = Rerun {
            user: user.clone(),
            args: args.inherited_arguments(&inherited),
            records: records(request),
            keep: inherited.descriptors(),
        };
        rerun.run(&mut RecordFilter::of_install(env.engine, "iinstall", &roots), &signals, io)
    });
    folders.keep();
    ended.or_else(|failure| io.fail(env.engine, failure))
}

/// What only root can: open the source and what verifies it, and make the folders that are missing, each of which
/// is noted in `folders`.
fn prepare(args: &Args, env: &Env, user: &User, folders: &mut Folders) -> Result<Inherited, Failure> {
    let inherited = match road::chosen(args, env) {
        Some(road) if !args.prepare => {
            Inherited::open(road, env, user).map_err(|failure| source::named(env, failure))?
        }
        None if !args.prepare => return Ok(Inherited::default()),
        _ => Inherited::default(),
    };
    let copies = env.archive_cache_dir.as_ref().filter(|_| !args.prepare);
    for folder in env.home().into_iter().chain(copies) {
        folders.make(user, folder).map_err(|error| {
            let failure = Failure::io(Code::Unmet, format!("cannot make {}", folder.display()), &error);
            match error.kind() {
                std::io::ErrorKind::ReadOnlyFilesystem => failure.hint(READ_ONLY),
                _ => failure,
            }
        })?;
    }
    Ok(inherited)
}

fn records(request: &Request<'_>) -> Vec<Record> {
    let verified = request.verified.cloned().map(Record::from);
    std::iter::once(Record::from(request.env.clone())).chain(verified).collect()
}

/// Where an install of this folder may be: in it, and where its links lead the user to.
fn roots(install_root: &Path, user: &User) -> Vec<PathBuf> {
    let real =
        user.act(|| [owner::canonicalize(install_root), owner::canonicalize(install_root.join(INSTALLS))]);
    let real = real.into_iter().flatten().flatten();
    std::iter::once(install_root.to_owned()).chain(real).collect()
}
