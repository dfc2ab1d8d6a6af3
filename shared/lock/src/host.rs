//! What this machine is called in a lock file.

/// The conda subdir of this machine.
#[must_use]
pub fn host_platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "linux-64",
        "aarch64" => "linux-aarch64",
        "powerpc64" => "linux-ppc64le",
        "riscv64" => "linux-riscv64",
        "s390x" => "linux-s390x",
        _ => "linux",
    }
}
