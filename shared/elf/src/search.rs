//! The loader's search for libraries, followed over all that is needed.
use crate::versions::{NeededVersion, highest};
use crate::{Elf, System, read};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// What was found so far, and what is missing. Messages name files relative to one folder.
#[derive(Debug)]
pub struct Search {
    root: PathBuf,
    library_dir: PathBuf,
    system: System,
    found: HashSet<String>,
    /// Name of a library, and who needs it.
    missing: BTreeMap<String, String>,
    /// Symbol versions that are needed, and by whom.
    needed_versions: Vec<(NeededVersion, String)>,
    /// Symbol versions that each library defines.
    defined_versions: HashMap<String, Vec<String>>,
}

impl Search {
    /// For programs below `root`, which find libraries in `library_dir` too, wherever else they are told to look.
    #[must_use]
    pub fn new(root: &Path, library_dir: &Path, system: System) -> Self {
        Self {
            root: root.to_owned(),
            library_dir: library_dir.to_owned(),
            system,
            found: HashSet::new(),
            missing: BTreeMap::new(),
            needed_versions: Vec::new(),
            defined_versions: HashMap::new(),
        }
    }

    /// How many libraries were found.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.found.len() as u64
    }

    /// Whether a library of this name was found.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.found.contains(name)
    }

    /// The libraries that were not found, each with who needs it. They are searched for again if something else needs them.
    pub fn take_missing(&mut self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.missing)
    }

    /// Find what a file needs, and what that needs in turn.
    pub fn follow(&mut self, file: PathBuf, elf: Elf) {
        // A file's RPATH holds for the libraries that it brings, too.
        let mut work = vec![(file, elf, Vec::new())];
        while let Some((file, elf, inherited)) = work.pop() {
            let origin = file.parent().unwrap_or(Path::new("/")).to_owned();
            let expand = |paths: &[String]| -> Vec<PathBuf> {
                paths.iter().map(|path| expand(path, &origin)).collect()
            };
            let mut rpath = expand(&elf.rpath);
            rpath.extend(inherited);
            let by = escaped(file.strip_prefix(&self.root).unwrap_or(&file));
            self.needed_versions
                .extend(elf.needed_versions.iter().map(|needed| (needed.clone(), by.clone())));
            let folders = if elf.runpath.is_empty() { rpath.clone() } else { expand(&elf.runpath) };
            for name in &elf.needed {
                if self.found.contains(name) || self.missing.contains_key(name) {
                    continue;
                }
                match self.find(name, &folders) {
                    Some((path, mut library)) => {
                        self.found.insert(name.clone());
                        let defined = std::mem::take(&mut library.defined_versions);
                        self.defined_versions.insert(name.clone(), defined);
                        work.push((path, library, rpath.clone()));
                    }
                    None => drop(self.missing.insert(escaped(Path::new(name)), by.clone())),
                }
            }
        }
    }

    /// Which needed symbol versions the libraries do not define, in words; each once.
    /// A library that defines none at all is taken as it is, as the loader takes it.
    pub fn take_lacking_versions(&mut self) -> Vec<String> {
        let mut lacking = BTreeMap::new();
        for (NeededVersion { library, version }, by) in self.needed_versions.drain(..) {
            let defined = self.defined_versions.get(&library).filter(|defined| !defined.is_empty());
            let Some(defined) = defined.filter(|defined| !defined.contains(&version)) else { continue };
            let newest = highest(defined, &version).map(|newest| format!(", which goes to {newest} here"));
            let what = format!("{by} needs {version} of {library}{}", newest.unwrap_or_default());
            lacking.entry((library, version)).or_insert(what);
        }
        lacking.into_values().collect()
    }

    /// The loader skips files for other machines, and so do we. Which of several files of the system it would take is not
    /// followed to the end: versions count that any of them defines.
    fn find(&self, name: &str, folders: &[PathBuf]) -> Option<(PathBuf, Elf)> {
        let fits = |path: PathBuf| {
            let library = read(&path).ok().flatten()?;
            library.is_for_this_machine().then_some((path, library))
        };
        if name.contains('/') {
            return fits(PathBuf::from(name));
        }
        let mut own = folders.iter().map(|folder| folder.join(name)).chain([self.library_dir.join(name)]);
        own.find_map(fits).or_else(|| {
            let mut fitting = self.system.candidates(name).filter_map(fits);
            let (path, mut library) = fitting.next()?;
            if !library.defined_versions.is_empty() {
                library.defined_versions.extend(fitting.flat_map(|(_, other)| other.defined_versions));
            }
            Some((path, library))
        })
    }
}

/// `$ORIGIN` is the folder of the file that says it.
fn expand(path: &str, origin: &Path) -> PathBuf {
    let origin = origin.to_string_lossy();
    PathBuf::from(path.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
}

/// A path out of an archive, for a message: it may hold anything, and a terminal obeys some of that.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}
