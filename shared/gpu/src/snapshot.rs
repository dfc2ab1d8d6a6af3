//! What is held at one moment.
use crate::{Device, Holder, bytes_held_by, devices, holders, select};

/// Who holds what. Where nobody is named, as in most containers, what each GPU says is all that can be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Those who are named.
    pub holders: Vec<Holder>,
    /// The GPUs, asked for only where nobody is named.
    pub devices: Vec<Device>,
}

impl Snapshot {
    /// Ask now; `None` where nobody answers.
    pub(crate) fn take() -> Option<Self> {
        let holders = holders()?;
        let devices = if holders.is_empty() { devices()? } else { Vec::new() };
        Some(Self { holders, devices })
    }

    /// Whether any of these processes is named.
    pub(crate) fn names(&self, pids: &[u32]) -> bool {
        self.holders.iter().any(|holder| pids.contains(&holder.pid))
    }

    /// What these processes hold; where nobody is named, what is used on the GPUs that they were given.
    #[must_use]
    pub fn held(&self, pids: &[u32], gpu_ids: &str, visible: Option<&str>) -> u64 {
        if !self.holders.is_empty() {
            return bytes_held_by(&self.holders, pids).unwrap_or(0);
        }
        let chosen = select(gpu_ids, visible, &self.devices);
        let memory = chosen.filter(&self.devices).filter_map(|device| device.memory);
        memory.map(|memory| memory.used_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::two;

    #[test]
    fn where_anybody_is_named_only_names_count() {
        let holder = |pid, bytes| Holder { uuid: "GPU-aaaa-1".to_owned(), pid, bytes };
        let holders = vec![holder(7, Some(5)), holder(7, Some(6)), holder(8, None)];
        let held = [[7, 9], [8, 9], [9, 10]].map(|pids| bytes_held_by(&holders, &pids));
        assert_eq!(held, [Some(11), None, None]);
        let reading = Snapshot { holders, devices: vec![] };
        assert!(reading.names(&[8]) && !reading.names(&[9]));
        assert_eq!(reading.held(&[9], "all", None), 0);
    }

    #[test]
    fn where_nobody_is_named_the_gpus_that_were_given_are_looked_at() {
        let reading = Snapshot { holders: vec![], devices: two() };
        let used = |ids, visible| reading.held(&[7], ids, visible);
        assert_eq!(
            [used("all", None), used("1", None), used("all", Some("1")), used("none", None)],
            [100 << 20, 0, 0, 0]
        );
    }
}
