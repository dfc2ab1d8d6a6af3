//! Whether the server can start here: every library that it needs, directly or through another, is in the package or on
//! this machine, and is new enough. Known before the install becomes current, and by name.
use crate::package::SERVER;
use archive::ArchiveError;
use elf::{Elf, Search, System};
use record::{Engine, Warning};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// They come with the GPU driver, which may be mounted only where the server runs.
const DRIVER_LIBRARIES: [&str; 2] = ["libcuda.so.1", "libnvidia-ml.so.1"];

/// What was found: how many libraries resolved, or the interpreter of a script; and what an operator should know.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) libraries: Option<u64>,
    pub(crate) interpreter: Option<PathBuf>,
    pub(crate) warnings: Vec<Warning>,
}

/// Check the server of an install.
pub(crate) fn check(install: &Path) -> Result<Report, ArchiveError> {
    let server = install
        .join(SERVER)
        .canonicalize()
        .map_err(|e| ArchiveError::system(&format!("cannot read {SERVER}"), e))?;
    match elf::read(&server) {
        Ok(Some(program)) => check_program(install, server, program),
        Ok(None) => check_script(&server),
        Err(error) => Err(ArchiveError::bad(format!("{SERVER} in it cannot be read: {error}"))),
    }
}

fn check_script(server: &Path) -> Result<Report, ArchiveError> {
    let head = std::fs::read(server)
        .map_err(|error| ArchiveError::system(&format!("cannot read {SERVER}"), error))?;
    let Some(words) = elf::first_line(&head) else {
        return Err(ArchiveError::bad(format!("{SERVER} in it is neither a 64-bit program nor a script")));
    };
    let mut words = words.iter().map(String::as_str);
    let first = words.next().unwrap_or_default();
    let by_name = words.find(|word| !word.starts_with('-')).filter(|_| first.ends_with("/env"));
    let found = match by_name {
        Some(name) => std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| is_program(program))
        }),
        None => Some(PathBuf::from(first)).filter(|program| program.is_absolute() && is_program(program)),
    };
    let Some(interpreter) = found else {
        let name = by_name.unwrap_or(first);
        let cause = format!("{SERVER} in it is a script for {name}, which is not on this machine");
        let wanted = match (by_name, Path::new(first).file_name()) {
            (None, Some(program)) => format!("{} as {first}", program.display()),
            _ => name.to_owned(),
        };
        let hint = format!("install {wanted}, or take a package whose llama-server is no script");
        return Err(ArchiveError::unmet(cause).hint(&hint));
    };
    Ok(Report { interpreter: Some(interpreter), ..Report::default() })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|stat| stat.is_file() && stat.permissions().mode() & 0o111 != 0)
}

fn check_program(install: &Path, server: PathBuf, program: Elf) -> Result<Report, ArchiveError> {
    if !program.is_for_this_machine() {
        let cause = format!("{SERVER} in it is built for another kind of processor");
        return Err(ArchiveError::bad(cause).hint(&format!("take a package for {}", std::env::consts::ARCH)));
    }
    if let Some(loader) = program.loader.as_ref().filter(|loader| !Path::new(loader).exists()) {
        let cause = format!("{SERVER} in it needs the loader {loader}, which is not on this machine");
        return Err(ArchiveError::unmet(cause).hint("take a package built for this system's C library"));
    }
    let library_path = std::env::var("LD_LIBRARY_PATH").ok();
    let library_dir = install.join("bin");
    let mut search = Search::new(install, &library_dir, System::here(library_path.as_deref()));
    search.follow(server, program);
    let missing = search.take_missing();
    let mut report = Report { libraries: Some(search.count()), ..Report::default() };
    let fatal: Vec<String> = missing
        .iter()
        .filter(|(name, _)| !DRIVER_LIBRARIES.contains(&name.as_str()))
        .map(|(name, by)| format!("{by} needs {name}"))
        .collect();
    if !fatal.is_empty() {
        let cause = format!("{}: neither in it nor on this machine", fatal.join(", "));
        return Err(ArchiveError::unmet(cause).hint("install it here, or take a package that brings it"));
    }
    let lacking = search.take_lacking_versions();
    if !lacking.is_empty() {
        let hint = "take a package that was built on an older system, or a system with newer libraries";
        return Err(ArchiveError::unmet(lacking.join("; ")).hint(hint));
    }
    report.warnings.extend(missing.into_iter().map(|(name, by)| driver_warning(&name, &by)));
    follow_backends(&mut search, &library_dir);
    report.warnings.extend(search.take_lacking_versions().into_iter().map(old_library_warning));
    report.warnings.extend(search.take_missing().into_iter().map(|(name, by)| backend_warning(&name, &by)));
    Ok(report)
}

/// Backends are opened while the server runs, by name: a missing library takes one away and stops nothing.
fn follow_backends(search: &mut Search, library_dir: &Path) {
    for entry in std::fs::read_dir(library_dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let backend = name.starts_with("libggml-") && name.contains(".so");
        if !backend || search.has(&name) {
            continue;
        }
        if let Ok(Some(elf)) = elf::read(&entry.path()) {
            search.follow(entry.path(), elf);
        }
    }
}

fn driver_warning(name: &str, by: &str) -> Warning {
    let what = format!("{by} needs {name} of the GPU driver, which is not on this machine");
    warning(
        "driver_library",
        what,
        "the server starts only where the driver is, as in a container with GPU access",
    )
}

fn backend_warning(name: &str, by: &str) -> Warning {
    if DRIVER_LIBRARIES.contains(&name) {
        return driver_warning(name, by);
    }
    let what = format!("{by} needs {name}, which is neither in the package nor on this machine");
    warning("backend_library", what, "the server starts without this backend; install the library to use it")
}

fn old_library_warning(what: String) -> Warning {
    warning("backend_library", what, "the server starts without this backend")
}

fn warning(rule: &str, what: String, hint: &str) -> Warning {
    let (rule, hint) = (rule.to_owned(), hint.to_owned());
    Warning { engine: Some(Engine::LlamaCpp), instance: None, rule, what, hint }
}
