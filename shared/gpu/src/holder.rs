//! Who holds memory of the GPUs.
use crate::nvidia_smi::{bytes, fields, query};

/// One process on one GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The GPU's.
    pub uuid: String,
    /// Its process id, as the driver has it. In a container that may be an id of another namespace.
    pub pid: u32,
    /// How much it holds, where the driver says so.
    pub bytes: Option<u64>,
}

/// Every process that nvidia-smi names; `None` where nobody answers. In a container it often names none, whoever is there.
#[must_use]
pub fn holders() -> Option<Vec<Holder>> {
    query("--query-compute-apps=gpu_uuid,pid,used_memory").map(|text| parse(&text))
}

/// What these processes hold, on all GPUs; `None` where none of them is named with what it holds.
#[must_use]
pub fn bytes_held_by(holders: &[Holder], pids: &[u32]) -> Option<u64> {
    let theirs = holders.iter().filter(|holder| pids.contains(&holder.pid));
    theirs.filter_map(|holder| holder.bytes).reduce(u64::saturating_add)
}

fn parse(text: &str) -> Vec<Holder> {
    let holder = |line: &str| {
        let [uuid, pid, used] = fields(line)?;
        // No process has the id 0: the driver writes it for a process of another namespace.
        let pid = pid.parse().ok().filter(|pid| *pid > 0)?;
        Some(Holder { uuid: uuid.to_owned(), pid, bytes: bytes(used) })
    };
    text.lines().filter_map(holder).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn who_is_not_told_by_an_id_is_nobody_and_what_is_not_told_is_absent() {
        let holder = |uuid: &str, pid, bytes| Holder { uuid: uuid.to_owned(), pid, bytes };
        let found = parse("GPU-a, 7, 100\nGPU-b, 7, [N/A]\nGPU-a, [N/A], 5\nGPU-a, 0, 5\n\nNo running\n");
        assert_eq!(found, [holder("GPU-a", 7, Some(100 << 20)), holder("GPU-b", 7, None)]);
    }
}
