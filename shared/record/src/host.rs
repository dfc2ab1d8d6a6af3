//! What `ienv --host` says: `host`.
use serde::{Deserialize, Serialize};

/// The machine, or the container, on which a stream was made, as it was when the stream began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Host {
    /// When it was looked at, unix seconds.
    pub at_unix: f64,
    /// Its name.
    pub hostname: String,
    /// Release and version of the kernel.
    pub kernel: String,
    /// The distribution, in the words of `os-release`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub system: Option<String>,
    /// As the kernel calls it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// Processors that this process may use.
    pub processors: u64,
    /// Memory of the machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_bytes: Option<u64>,
    /// The uid that asked.
    pub uid: u32,
    /// The image that the container runs, where whoever started it said so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<String>,
    /// The NVIDIA driver of the kernel, in its own words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub driver: Option<String>,
    /// The GPUs that nvidia-smi names.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub gpus: Vec<Gpu>,
    /// What nvidia-smi prints for a person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nvidia_smi: Option<String>,
    /// Every network interface of the namespace.
    pub interfaces: Vec<Interface>,
    /// Every route of the namespace's main tables but those of loopback.
    pub routes: Vec<Route>,
    /// Nothing can leave the machine: no interface but loopback is up, and no route leads to another.
    pub isolated: bool,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Gpu {
    /// Its number, in the order of the PCI bus.
    pub index: u32,
    /// `GPU-…`.
    pub uuid: String,
    /// As it is sold.
    pub name: String,
    /// Its memory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_bytes: Option<u64>,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
    /// Its addresses, IPv4 and IPv6.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub addresses: Vec<String>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Route {
    /// Where it leads, as `0.0.0.0/0`.
    pub to: String,
    /// Through which gateway.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub via: Option<String>,
    /// Through which interface.
    pub interface: String,
}
