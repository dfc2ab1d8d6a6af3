//! The pixi, pixi-pack and pixi-unpack that the tests run.
use super::root;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const PROGRAMS: [(&str, &str); 3] = [
    ("pixi", "INFER_DEV_TEST_PIXI"),
    ("pixi-pack", "INFER_DEV_TEST_PIXI_PACK"),
    ("pixi-unpack", "INFER_DEV_TEST_PIXI_UNPACK"),
];

/// The stand-ins of `tests/standin`, made of py-rattler and uv: no registry has the real ones. The variables above put
/// a real program in the place of one, and the same tests run on that.
pub(crate) struct Pixi {
    /// A folder with all three, to be put on PATH.
    pub(crate) bin: PathBuf,
    /// Whether `pixi` is a real one: what hangs on the stand-in's switches cannot be tested then.
    pub(crate) real: bool,
    /// The real cache that they are tried on.
    pub(super) tiny: PathBuf,
    /// The stand-ins: `bin` and `lib`, and `venv` beside the folder.
    programs: PathBuf,
}

impl Pixi {
    /// Made by `tests/standin/prepare`, which does nothing where they are already.
    pub(crate) fn get() -> &'static Self {
        static PIXI: OnceLock<Pixi> = OnceLock::new();
        PIXI.get_or_init(|| {
            let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
                || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"),
                PathBuf::from,
            );
            let dir = cache.join("infer-dev/standin");
            let script = root().join("tests/standin/prepare");
            let output = Command::new(&script).arg(&dir).stderr(Stdio::inherit()).output().unwrap();
            assert!(output.status.success(), "{} failed: {}", script.display(), output.status);
            let programs = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end());
            let (bin, real) = (bin(&programs), std::env::var_os(PROGRAMS[0].1).is_some());
            Self { bin, real, tiny: programs.join("tiny"), programs }
        })
    }

    /// `pixi`.
    pub(crate) fn pixi(&self) -> PathBuf {
        self.bin.join("pixi")
    }

    /// `pixi-unpack`.
    pub(crate) fn unpack(&self) -> PathBuf {
        self.bin.join("pixi-unpack")
    }

    /// The python that has their libraries.
    pub(crate) fn python(&self) -> PathBuf {
        self.programs.join("../venv/bin/python")
    }

    /// A copy of the stand-ins for a user who cannot read our home: the folder for that user's PATH.
    pub(crate) fn copied(&self, into: &Path) -> PathBuf {
        for part in ["bin", "lib", "../venv"] {
            copy(&self.programs.join(part), into);
        }
        into.join("bin")
    }
}

/// The stand-ins' own folder, or one with links where a real program was given.
fn bin(programs: &Path) -> PathBuf {
    let own = programs.join("bin");
    let given = PROGRAMS.map(|(program, variable)| {
        std::env::var_os(variable)
            .map_or_else(|| own.join(program), |path| std::fs::canonicalize(path).unwrap())
    });
    if given.iter().all(|path| path.starts_with(&own)) {
        return own;
    }
    let mut hasher = DefaultHasher::new();
    given.hash(&mut hasher);
    let links = programs.join(format!("given-{:016x}", hasher.finish()));
    std::fs::create_dir_all(&links).unwrap();
    for ((program, _), path) in PROGRAMS.iter().zip(given) {
        match std::os::unix::fs::symlink(path, links.join(program)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("{program}: {error}"),
            _ => (),
        }
    }
    links
}

/// `cp -a`, into a folder that is made.
pub(super) fn copy(from: &Path, into: &Path) {
    std::fs::create_dir_all(into).unwrap();
    let status = Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(into).status().unwrap();
    assert!(status.success(), "cp -a {} {}: {status}", from.display(), into.display());
}
