//! What the machine is, for the report of a run.
use crate::network;
use crate::system_file::{line, text};
use record::{Gpu, Host};
use tool::vars;

/// Look at the machine, or the container, as this process sees it. What cannot be read is absent.
pub(crate) fn survey() -> Host {
    let network = network::survey();
    let gpus = gpu::devices().unwrap_or_default();
    let kernel = ["osrelease", "version"].map(|name| line(&format!("/proc/sys/kernel/{name}")));
    Host {
        at_unix: tool::now_unix(),
        hostname: line("/proc/sys/kernel/hostname").unwrap_or_default(),
        kernel: kernel.into_iter().flatten().collect::<Vec<_>>().join(" "),
        system: text("/etc/os-release").and_then(|text| system(&text)),
        architecture: std::env::consts::ARCH.to_owned(),
        processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
        memory_bytes: text("/proc/meminfo").and_then(|text| memory(&text)),
        uid: rustix::process::geteuid().as_raw(),
        image: std::env::var(vars::INFER_DEV_IMAGE_ID).ok().filter(|id| !id.is_empty()),
        driver: line("/proc/driver/nvidia/version"),
        nvidia_smi: if gpus.is_empty() { None } else { gpu::full_output() },
        gpus: gpus.into_iter().map(described).collect(),
        interfaces: network.interfaces,
        routes: network.routes,
        isolated: network.isolated,
    }
}

fn described(device: gpu::Device) -> Gpu {
    let memory_bytes = device.memory.map(|memory| memory.total_bytes);
    Gpu { index: device.index, uuid: device.uuid, name: device.name, memory_bytes }
}

/// `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"` in os-release(5).
fn system(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(tool::one_line(value.trim_matches(['"', '\''])))
}

/// `MemTotal:       24690000 kB` in proc(5).
fn memory(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_and_its_memory_are_read_from_their_files() {
        let text = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(system(text).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(system("ID=x\n"), None);
        assert_eq!(memory("MemTotal:       16 kB\nMemFree: 1 kB\n"), Some(16 << 10));
        assert_eq!(memory("MemTotal: many\n"), None);
    }
}
