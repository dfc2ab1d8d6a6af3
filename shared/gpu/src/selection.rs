//! Which GPUs a list of ids means.
use crate::Device;
use std::collections::BTreeSet;

/// The variable that hides GPUs from a CUDA program.
pub const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// What a list of ids comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Indices of those that are there.
    pub indices: BTreeSet<u32>,
    /// Ids that name none.
    pub unknown: Vec<String>,
    /// How many GPUs a server sees; slices of a GPU count one each.
    pub count: usize,
}

impl Selection {
    /// Those of the devices that are meant.
    pub fn filter<'a>(&self, devices: &'a [Device]) -> impl Iterator<Item = &'a Device> {
        devices.iter().filter(|device| self.indices.contains(&device.index))
    }
}

/// Resolve `all`, `none` or ids; `visible` is what the server's CUDA_VISIBLE_DEVICES says where `all` is meant.
#[must_use]
pub fn select(gpu_ids: &str, visible: Option<&str>, devices: &[Device]) -> Selection {
    let all_indices = || devices.iter().map(|device| device.index).collect::<BTreeSet<u32>>();
    let ids = match (gpu_ids, visible) {
        ("none", _) => "",
        ("all", Some(visible)) if visible != "all" => visible,
        ("all", _) => {
            return Selection { indices: all_indices(), unknown: Vec::new(), count: devices.len() };
        }
        (ids, _) => ids,
    };
    let mut chosen = Selection { indices: BTreeSet::new(), unknown: Vec::new(), count: 0 };
    for id in ids.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        chosen.count += 1;
        let found = devices.iter().find(|device| {
            id.parse() == Ok(device.index) || device.uuid.starts_with(id) && id.starts_with("GPU-")
        });
        match found {
            Some(device) => drop(chosen.indices.insert(device.index)),
            // nvidia-smi's list does not say which GPU a slice is of: it may be any.
            None if id.starts_with("MIG-") => chosen.indices = all_indices(),
            None => chosen.unknown.push(id.to_owned()),
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::two;

    #[test]
    fn ids_are_resolved_by_number_and_by_the_beginning_of_the_uuid() {
        for (ids, visible, indices, unknown, count) in [
            ("all", None, vec![0, 1], vec![], 2),
            ("all", Some("1"), vec![1], vec![], 1),
            ("none", None, vec![], vec![], 0),
            ("1", Some("0"), vec![1], vec![], 1),
            ("0,7", None, vec![0], vec!["7"], 2),
            ("GPU-bbbb", None, vec![1], vec![], 1),
            ("GPU-cccc", None, vec![], vec!["GPU-cccc"], 1),
            ("MIG-x,MIG-y", None, vec![0, 1], vec![], 2),
        ] {
            let chosen = select(ids, visible, &two());
            let unknown: Vec<String> = unknown.into_iter().map(str::to_owned).collect();
            let expected = Selection { indices: indices.into_iter().collect(), unknown, count };
            assert_eq!(chosen, expected, "{ids} {visible:?}");
        }
    }
}
