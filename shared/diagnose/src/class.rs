//! The classes, their ids on the wire, and what to do about each.

/// Why an engine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each class is told by its hint")]
pub enum Class {
    OomGpu,
    OomHost,
    PortInUse,
    MissingLibrary,
    Driver,
    Abi,
    Nccl,
    MissingFile,
    BadFlag,
    NetworkAttempt,
    Crash,
    Unknown,
}

impl Class {
    /// All of them, in the order in which the manual lists them.
    pub const ALL: [Self; 12] = [
        Self::OomGpu,
        Self::OomHost,
        Self::PortInUse,
        Self::MissingLibrary,
        Self::Driver,
        Self::Abi,
        Self::Nccl,
        Self::MissingFile,
        Self::BadFlag,
        Self::NetworkAttempt,
        Self::Crash,
        Self::Unknown,
    ];

    /// The word in `failed.class`.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.text().0
    }

    /// What to do about it, in one line.
    #[must_use]
    pub fn hint(self) -> &'static str {
        self.text().1
    }

    fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::OomGpu => (
                "oom_gpu",
                "lower the context length or the share of GPU memory, use more GPUs, or free what others hold on them (see nvidia-smi)",
            ),
            Self::OomHost => (
                "oom_host",
                "give the machine or the container's cgroup more memory (and /dev/shm), or run fewer instances on it",
            ),
            Self::PortInUse => (
                "port_in_use",
                "set another port in [instance.NAME.server], or stop what listens on this one",
            ),
            Self::MissingLibrary => (
                "missing_library",
                "install the library, Python module or build tool that the line names, where the engine's own user finds it",
            ),
            Self::Driver => (
                "driver",
                "check nvidia-smi here: the driver must be visible in the container and new enough for the engine's CUDA",
            ),
            Self::Abi => (
                "abi",
                "install the engine again from one consistent lock: the parts that the line names were not built for each other or for this machine",
            ),
            Self::Nccl => (
                "nccl",
                "check that every rank is alive, that /dev/shm is large enough and the GPUs reach each other; NCCL_DEBUG=INFO tells more",
            ),
            Self::MissingFile => (
                "missing_file",
                "check the path in the TOML file and the files behind it with imodel: one is missing, damaged or not readable",
            ),
            Self::BadFlag => (
                "bad_flag",
                "correct the argument in [instance.NAME.server] or extra_args; the engine's own --help lists what this version takes",
            ),
            Self::NetworkAttempt => (
                "network_attempt",
                "bring what the line names onto this machine beforehand and use absolute paths: nothing can be fetched here",
            ),
            Self::Crash => (
                "crash",
                "the engine itself broke: keep the log; try another version of the engine, or without its newest options",
            ),
            Self::Unknown => ("unknown", "read the log from its first error on"),
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.id())
    }
}
