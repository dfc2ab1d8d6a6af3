//! Whether the server can start here: every library that it needs, directly or through another, is in the package or on
//! this machine, and is new enough. Known before the install becomes current, and by name.
use crate::package::elf::{self, Elf, MACHINE};
use crate::package::system::System;
use crate::package::versions::{Wanted, highest};
use crate::package::{SERVER, shown};
use crate::unpack::Trouble;
use record::{Engine, Warning};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// They come with the GPU driver, which may be mounted only where the server runs.
const OF_THE_DRIVER: [&str; 2] = ["libcuda.so.1", "libnvidia-ml.so.1"];

/// What was found: how many libraries resolved, or the interpreter of a script; and what an operator should know.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) libraries: Option<u64>,
    pub(crate) interpreter: Option<PathBuf>,
    pub(crate) warnings: Vec<Warning>,
}

/// Check the server of an install.
pub(crate) fn check(install: &Path) -> Result<Report, Trouble> {
    let server = install
        .join(SERVER)
        .canonicalize()
        .map_err(|e| Trouble::system(&format!("cannot read {SERVER}"), e))?;
    match elf::read(&server) {
        Ok(Some(program)) => check_program(install, server, program),
        Ok(None) => check_script(&server),
        Err(error) => Err(Trouble::bad(format!("{SERVER} in it cannot be read: {error}"))),
    }
}

fn check_script(server: &Path) -> Result<Report, Trouble> {
    let head =
        std::fs::read(server).map_err(|error| Trouble::system(&format!("cannot read {SERVER}"), error))?;
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(line) = line.strip_prefix(b"#!") else {
        return Err(Trouble::bad(format!("{SERVER} in it is neither a 64-bit program nor a script")));
    };
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line.split_whitespace();
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
        return Err(Trouble::unmet(cause).hint("install it, or take a package with a program"));
    };
    Ok(Report { interpreter: Some(interpreter), ..Report::default() })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|stat| stat.is_file() && stat.permissions().mode() & 0o111 != 0)
}

fn check_program(install: &Path, server: PathBuf, program: Elf) -> Result<Report, Trouble> {
    if program.machine != MACHINE {
        let cause = format!("{SERVER} in it is built for another kind of processor");
        return Err(Trouble::bad(cause).hint(&format!("take a package for {}", std::env::consts::ARCH)));
    }
    if let Some(loader) = program.interpreter.as_ref().filter(|loader| !Path::new(loader).exists()) {
        let cause = format!("{SERVER} in it needs the loader {loader}, which is not on this machine");
        return Err(Trouble::unmet(cause).hint("take a package built for this system's C library"));
    }
    let library_path = std::env::var("LD_LIBRARY_PATH").ok();
    let mut search = Search::new(install, System::here(library_path.as_deref()));
    search.visit(server, program, &[]);
    let missing = std::mem::take(&mut search.missing);
    let mut report = Report { libraries: Some(search.seen.len() as u64), ..Report::default() };
    let fatal: Vec<String> = missing
        .iter()
        .filter(|(name, _)| !OF_THE_DRIVER.contains(&name.as_str()))
        .map(|(name, by)| format!("{by} needs {name}"))
        .collect();
    if !fatal.is_empty() {
        let cause = format!("{}: neither in it nor on this machine", fatal.join(", "));
        return Err(Trouble::unmet(cause).hint("install it here, or take a package that brings it"));
    }
    let lacking = search.lacking();
    if !lacking.is_empty() {
        let hint = "take a package that was built on an older system, or a system with newer libraries";
        return Err(Trouble::unmet(lacking.join("; ")).hint(hint));
    }
    report.warnings.extend(missing.into_iter().map(|(name, by)| driver_warning(&name, &by)));
    search.visit_backends();
    report.warnings.extend(search.lacking().into_iter().map(old_library_warning));
    report.warnings.extend(search.missing.into_iter().map(|(name, by)| backend_warning(&name, &by)));
    Ok(report)
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
    if OF_THE_DRIVER.contains(&name) {
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

/// The loader's search, followed over all that is needed.
struct Search {
    install: PathBuf,
    library_dir: PathBuf,
    system: System,
    seen: HashSet<String>,
    /// Name of a library, and who needs it.
    missing: BTreeMap<String, String>,
    /// Symbol versions that are wanted, and by whom.
    wanted: Vec<(Wanted, String)>,
    /// Symbol versions that each library defines.
    versions: HashMap<String, Vec<String>>,
}

impl Search {
    fn new(install: &Path, system: System) -> Self {
        let library_dir = install.join("bin");
        let (seen, missing) = (HashSet::new(), BTreeMap::new());
        let (wanted, versions) = (Vec::new(), HashMap::new());
        Self { install: install.to_owned(), library_dir, system, seen, missing, wanted, versions }
    }

    /// Find what a file needs, and what that needs in turn. `inherited` is the RPATH of those who brought us here.
    fn visit(&mut self, file: PathBuf, elf: Elf, inherited: &[PathBuf]) {
        let mut work = vec![(file, elf, inherited.to_vec())];
        while let Some((file, elf, inherited)) = work.pop() {
            let origin = file.parent().unwrap_or(Path::new("/")).to_owned();
            let expand = |paths: &[String]| -> Vec<PathBuf> {
                paths.iter().map(|path| expand(path, &origin)).collect()
            };
            let mut rpath = expand(&elf.rpath);
            rpath.extend(inherited);
            let by = self.shown(&file);
            self.wanted.extend(elf.wanted.iter().map(|wanted| (wanted.clone(), by.clone())));
            let told = if elf.runpath.is_empty() { rpath.clone() } else { expand(&elf.runpath) };
            for name in &elf.needed {
                if self.seen.contains(name) || self.missing.contains_key(name) {
                    continue;
                }
                match self.find(name, &told) {
                    Some((path, mut found)) => {
                        self.seen.insert(name.clone());
                        self.versions.insert(name.clone(), std::mem::take(&mut found.versions));
                        work.push((path, found, rpath.clone()));
                    }
                    None => drop(self.missing.insert(shown(Path::new(name)), by.clone())),
                }
            }
        }
    }

    /// Backends are opened while the server runs, by name: a missing library takes one away and stops nothing.
    fn visit_backends(&mut self) {
        for entry in std::fs::read_dir(&self.library_dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let backend = name.starts_with("libggml-") && name.contains(".so");
            if !backend || self.seen.contains(&name) {
                continue;
            }
            if let Ok(Some(elf)) = elf::read(&entry.path()) {
                self.visit(entry.path(), elf, &[]);
            }
        }
    }

    /// Which wanted symbol versions the libraries do not define, each with who wants it; asked again, only what is new.
    /// A library that defines none at all is taken as it is, as the loader takes it.
    fn lacking(&mut self) -> Vec<String> {
        let mut lacking = BTreeMap::new();
        for (Wanted { library, version }, by) in self.wanted.drain(..) {
            let Some(defined) = self.versions.get(&library).filter(|defined| !defined.is_empty()) else {
                continue;
            };
            if !defined.contains(&version) {
                let newest =
                    highest(defined, &version).map(|newest| format!(", which goes to {newest} here"));
                let what = format!("{by} needs {version} of {library}{}", newest.unwrap_or_default());
                lacking.entry((library, version)).or_insert(what);
            }
        }
        lacking.into_values().collect()
    }

    /// The loader skips files for other machines, and so do we. Which of several files of the system it would take is not
    /// followed to the end: versions count that any of them defines.
    fn find(&self, name: &str, told: &[PathBuf]) -> Option<(PathBuf, Elf)> {
        let fits = |path: PathBuf| {
            let found = elf::read(&path).ok().flatten()?;
            (found.machine == MACHINE).then_some((path, found))
        };
        if name.contains('/') {
            return fits(PathBuf::from(name));
        }
        let mut own = told.iter().map(|folder| folder.join(name)).chain([self.library_dir.join(name)]);
        own.find_map(fits).or_else(|| {
            let mut fitting = self.system.candidates(name).filter_map(fits);
            let (path, mut found) = fitting.next()?;
            if !found.versions.is_empty() {
                found.versions.extend(fitting.flat_map(|(_, other)| other.versions));
            }
            Some((path, found))
        })
    }

    fn shown(&self, file: &Path) -> String {
        shown(file.strip_prefix(&self.install).unwrap_or(file))
    }
}

/// `$ORIGIN` is the folder of the file that says it.
fn expand(path: &str, origin: &Path) -> PathBuf {
    let origin = origin.to_string_lossy();
    PathBuf::from(path.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
}
