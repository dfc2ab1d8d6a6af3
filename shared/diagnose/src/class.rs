//! The classes, their ids on the wire, and what to do about each.
use record::Engine;

/// Why an engine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each class is explained by its hint")]
pub enum Class {
    OomGpu,
    OomHost,
    Limit,
    PortInUse,
    Address,
    MissingLibrary,
    Driver,
    Abi,
    Nccl,
    MissingFile,
    CacheFolder,
    EngineTooOld,
    BadFlag,
    NetworkAttempt,
    Crash,
    /// Its keeper's finding: no log shows it.
    Hung,
    Unknown,
}

impl Class {
    /// All of them, in the order in which the manual lists them.
    pub const ALL: [Self; 17] = [
        Self::OomGpu,
        Self::OomHost,
        Self::Limit,
        Self::PortInUse,
        Self::Address,
        Self::MissingLibrary,
        Self::Driver,
        Self::Abi,
        Self::Nccl,
        Self::MissingFile,
        Self::CacheFolder,
        Self::EngineTooOld,
        Self::BadFlag,
        Self::NetworkAttempt,
        Self::Crash,
        Self::Hung,
        Self::Unknown,
    ];

    /// The id in `failed.class`.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.text().0
    }

    /// What to do about it, in one line. The line that proves it, and the engine, make it more exact.
    #[must_use]
    pub fn hint(self, engine: Engine, line: Option<&str>) -> &'static str {
        let says = |words: &[&str]| line.is_some_and(|line| words.iter().any(|word| line.contains(word)));
        match self {
            Self::BadFlag if says(GENERIC_OPTION_LINES) => {
                "take one of the values that the line lists; one that it lacks may need a newer version of the engine"
            }
            Self::BadFlag if says(CAPABILITY) => {
                "this GPU cannot do what the line names: choose another dtype, quantization, attention backend or model"
            }
            Self::Crash if says(&["Illegal instruction", "illegal instruction"]) => {
                "this build uses instructions that this CPU may not have: take one for an older CPU, or keep the log"
            }
            Self::Nccl if engine == Engine::Vllm => {
                "check that every rank is alive, that /dev/shm is large enough and the GPUs reach each other; where ranks only need longer, raise distributed_timeout_seconds; NCCL_DEBUG=INFO shows more"
            }
            Self::Nccl if engine == Engine::Sglang => {
                "check that every rank is alive, that /dev/shm is large enough and the GPUs reach each other; where ranks only need longer, raise dist_timeout or watchdog_timeout; NCCL_DEBUG=INFO shows more"
            }
            _ => self.text().1,
        }
    }

    fn text(self) -> (&'static str, &'static str) {
        TEXT.into_iter()
            .find(|(class, ..)| *class == self)
            .map_or(("unknown", ""), |(_, id, hint)| (id, hint))
    }
}

/// Each with its id and its hint.
const TEXT: [(Class, &str, &str); 17] = [
    (
        Class::OomGpu,
        "oom_gpu",
        "lower the context length or the share of GPU memory, use more GPUs, or free what others hold on them (see nvidia-smi)",
    ),
    (
        Class::OomHost,
        "oom_host",
        "give the machine or the container's cgroup more memory, or run fewer instances on it",
    ),
    (
        Class::Limit,
        "limit",
        "raise the limit that was met: threads and processes (ulimit -u, the container's pids), open files (ulimit -n), /dev/shm, or room on the disk",
    ),
    (
        Class::PortInUse,
        "port_in_use",
        "set another port in [instance.NAME.server], or stop what listens on this one",
    ),
    (
        Class::Address,
        "address",
        "check host in [instance.NAME.server]: it has to be an address of this machine or a name that resolves to one, at a port that this user may open; and the certificate and key, if there are any",
    ),
    (
        Class::MissingLibrary,
        "missing_library",
        "install the library, Python module or build tool that the line names, where the engine's own user finds it",
    ),
    (
        Class::Driver,
        "driver",
        "check nvidia-smi here: the driver must be visible in the container and new enough for the engine's CUDA",
    ),
    (
        Class::Abi,
        "abi",
        "install the engine again from one consistent lock: the parts that the line names were not built for each other or for this machine",
    ),
    (
        Class::Nccl,
        "nccl",
        "check that every rank is alive, that /dev/shm is large enough and the GPUs reach each other; NCCL_DEBUG=INFO shows more",
    ),
    (
        Class::MissingFile,
        "missing_file",
        "check the path in the TOML file and the files behind it, their sizes too: one is missing, damaged or not readable",
    ),
    (
        Class::CacheFolder,
        "cache_folder",
        "give the engine's user a folder that it can write and run files from: set HOME, TMPDIR and the engine's cache variables in [instance.NAME.env]",
    ),
    (
        Class::EngineTooOld,
        "engine_too_old",
        "install a newer version of the engine, which knows what the line names, or take a model made for this one",
    ),
    (
        Class::BadFlag,
        "bad_flag",
        "correct the argument in [instance.NAME.server] or extra_args; the engine's own --help lists what this version takes",
    ),
    (
        Class::NetworkAttempt,
        "network_attempt",
        "bring what the line names onto this machine beforehand and use absolute paths: nothing can be fetched here",
    ),
    (
        Class::Crash,
        "crash",
        "the engine itself broke: keep the log; try another version of the engine, or without its newest options",
    ),
    (
        Class::Hung,
        "hung",
        "see what the log says last, and the kernel's log for GPU errors (Xid); where it was only slow, raise liveness_period_s or set liveness = \"off\" in its control table",
    ),
    (Class::Unknown, "unknown", "read the log from its first error on"),
];

/// Words by which a line lists what a flag takes.
const GENERIC_OPTION_LINES: &[&str] = &[
    "invalid choice:",
    "invalid tool call parser:",
    "invalid reasoning parser:",
    "(choose from",
    "(chose from",
    "Available parsers:",
    "Valid options are:",
];

/// Words by which a line says that a GPU is too old for something.
const CAPABILITY: &[&str] =
    &["compute capability", "capability:", "Ampere GPUs or newer", "requires GPUs with", "requires SM"];

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.id())
    }
}
