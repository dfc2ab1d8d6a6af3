//! The GPUs that are there.
use crate::nvidia_smi::{bytes, fields, query};

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number, in the order of the PCI bus.
    pub index: u32,
    /// `GPU-…`.
    pub uuid: String,
    /// As it is sold.
    pub name: String,
    /// Absent on machines that share one memory with the processor.
    pub memory: Option<Memory>,
}

/// A GPU's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// In all.
    pub total_bytes: u64,
    /// Held by processes; older drivers count what they hold themselves.
    pub used_bytes: u64,
    /// Left.
    pub free_bytes: u64,
}

/// Every GPU; `None` where nobody answers, and where there is none.
#[must_use]
pub fn devices() -> Option<Vec<Device>> {
    let text = query("--query-gpu=index,uuid,name,memory.total,memory.used,memory.free")?;
    Some(parse(&text)).filter(|devices| !devices.is_empty())
}

fn parse(text: &str) -> Vec<Device> {
    text.lines().filter_map(device).collect()
}

fn device(line: &str) -> Option<Device> {
    let [index, uuid, name, total, used, free] = fields(line)?;
    let memory = || {
        let (total_bytes, used_bytes, free_bytes) = (bytes(total)?, bytes(used)?, bytes(free)?);
        Some(Memory { total_bytes, used_bytes, free_bytes })
    };
    Some(Device {
        index: index.parse().ok()?,
        uuid: uuid.to_owned(),
        name: name.to_owned(),
        memory: memory().filter(|memory| memory.total_bytes > 0),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn two() -> Vec<Device> {
        parse(
            "0, GPU-aaaa-1, NVIDIA H200, 143771, 100, 143071\n\
             1, GPU-bbbb-2, NVIDIA GB10, [N/A], [N/A], [N/A]\nnot a line\n",
        )
    }

    #[test]
    fn what_is_not_known_of_the_memory_is_absent_and_the_gpu_is_there() {
        let devices = two();
        assert_eq!(devices.len(), 2);
        let memory = Memory { total_bytes: 143_771 << 20, used_bytes: 100 << 20, free_bytes: 143_071 << 20 };
        let (uuid, name) = ("GPU-aaaa-1".to_owned(), "NVIDIA H200".to_owned());
        assert_eq!(devices[0], Device { index: 0, uuid, name, memory: Some(memory) });
        assert_eq!((devices[1].index, devices[1].memory), (1, None));
    }
}
