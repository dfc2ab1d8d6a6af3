//! GPUs for an engine that is given them by number only.
use engine::Profile;
use failure::{Code, Failure};
use gpu::VISIBLE;
use std::collections::BTreeMap;

/// Write the GPUs that a server sees by their numbers, where they are named by UUIDs: those of its own environment, else the
/// caller's.
pub(crate) fn by_number(
    env_set: &mut BTreeMap<String, String>,
    caller: &BTreeMap<String, String>,
    instance: &str,
    profile: &Profile,
) -> Result<(), Failure> {
    let Some(ids) = env_set.get(VISIBLE).or_else(|| caller.get(VISIBLE)) else { return Ok(()) };
    if !profile.gpus_by_number || (!ids.contains("GPU-") && !ids.contains("MIG-")) {
        return Ok(());
    }
    let failure =
        |code, cause: String| Failure::new(code, format!("GPUs {ids} of instance {instance}"), cause);
    if ids.contains("MIG-") {
        let cause = "this engine is given GPUs by number, and a slice of one (MIG) has none";
        let hint = "give it a whole GPU; or show the container that slice alone, and leave gpu_ids out";
        return Err(failure(Code::Input, cause.to_owned()).hint(hint));
    }
    let Some(devices) = gpu::devices() else {
        let cause =
            "this engine is given GPUs by number, and nvidia-smi does not say which numbers these have";
        return Err(failure(Code::Unmet, cause.to_owned()).hint("write gpu_ids as numbers: \"0,1\""));
    };
    let mut numbers: Vec<String> = Vec::new();
    for id in ids.split(',').map(str::trim) {
        let number = match devices.iter().find(|device| id.starts_with("GPU-") && device.uuid.starts_with(id))
        {
            Some(device) => device.index.to_string(),
            // The check of GPUs reports an unknown id.
            None => id.to_owned(),
        };
        if numbers.contains(&number) {
            return Err(failure(Code::Input, format!("they name GPU {number} twice")));
        }
        numbers.push(number);
    }
    env_set.insert(VISIBLE.to_owned(), numbers.join(","));
    env_set.insert("CUDA_DEVICE_ORDER".to_owned(), "PCI_BUS_ID".to_owned());
    Ok(())
}
