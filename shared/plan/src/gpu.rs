//! The GPUs of this machine, by the word of nvidia-smi, where it answers.
use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its number, in the order of the PCI bus.
    pub index: u32,
    /// `GPU-…`.
    pub uuid: String,
    /// Memory in all.
    pub total_mib: u64,
    /// Memory that somebody holds.
    pub used_mib: u64,
}

/// A driver that is ill lets nvidia-smi hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that holds memory of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The GPU's.
    pub uuid: String,
    /// The process, as the driver counts: in a container it may be none that can be seen.
    pub pid: u32,
    /// How much.
    pub used_mib: u64,
}

/// The GPUs that nvidia-smi on PATH reports; `None` where there is no nvidia-smi, or it fails, or it says nothing in time.
#[must_use]
pub fn query() -> Option<Vec<Gpu>> {
    ask("--query-gpu=index,uuid,memory.total,memory.used")
        .map(|text| parse(&text))
        .filter(|gpus| !gpus.is_empty())
}

/// Who holds memory of them, as far as nvidia-smi says. In a container it often says nothing.
#[must_use]
pub fn holders() -> Vec<Holder> {
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [uuid, pid, used] = fields[..] else { return None };
        let used_mib = used.parse().unwrap_or(0);
        Some(Holder { uuid: uuid.to_owned(), pid: pid.parse().ok()?, used_mib })
    };
    let text = ask("--query-compute-apps=gpu_uuid,pid,used_memory").unwrap_or_default();
    text.lines().filter_map(holder).collect()
}

fn ask(fields: &str) -> Option<String> {
    let mut child = Command::new("nvidia-smi")
        .args([fields, "--format=csv,noheader,nounits"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut output = child.stdout.take()?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text);
        // Nobody waits any more after the patience is over.
        drop(send.send(read.map(|_| text)));
    });
    match receive.recv_timeout(PATIENCE) {
        Ok(Ok(text)) => child.wait().ok()?.success().then_some(text),
        _ => {
            log::info!("nvidia-smi said nothing within {} s", PATIENCE.as_secs());
            // Not waited for: a process that hangs in the driver does not even die.
            drop(child.kill());
            None
        }
    }
}

fn parse(text: &str) -> Vec<Gpu> {
    let gpu = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [index, uuid, total, used] = fields[..] else { return None };
        // Memory is [N/A] on some machines; the GPU is there all the same.
        let mib = |text: &str| text.parse().unwrap_or(0);
        let index = index.parse().ok()?;
        Some(Gpu { index, uuid: uuid.to_owned(), total_mib: mib(total), used_mib: mib(used) })
    };
    text.lines().filter_map(gpu).collect()
}

/// Which GPUs a list of ids means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Indices of those that are there.
    pub indices: BTreeSet<u32>,
    /// Ids that name none.
    pub strangers: Vec<String>,
    /// How many GPUs a server sees; slices of a GPU count one each.
    pub count: usize,
}

/// Resolve `all`, `none` or ids; `visible` is what the server's CUDA_VISIBLE_DEVICES says where `all` is meant.
#[must_use]
pub fn choose(gpu_ids: &str, visible: Option<&str>, gpus: &[Gpu]) -> Chosen {
    let everything = || gpus.iter().map(|gpu| gpu.index).collect::<BTreeSet<u32>>();
    let ids = match (gpu_ids, visible) {
        ("none", _) => "",
        ("all", Some(visible)) if visible != "all" => visible,
        ("all", _) => {
            return Chosen { indices: everything(), strangers: Vec::new(), count: gpus.len() };
        }
        (ids, _) => ids,
    };
    let mut chosen = Chosen { indices: BTreeSet::new(), strangers: Vec::new(), count: 0 };
    for id in ids.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        chosen.count += 1;
        let found = gpus
            .iter()
            .find(|gpu| id.parse() == Ok(gpu.index) || gpu.uuid.starts_with(id) && id.starts_with("GPU-"));
        match found {
            Some(gpu) => drop(chosen.indices.insert(gpu.index)),
            // nvidia-smi's list does not say which GPU a slice is of: it may be any.
            None if id.starts_with("MIG-") => chosen.indices = everything(),
            None => chosen.strangers.push(id.to_owned()),
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<Gpu> {
        parse("0, GPU-aaaa-1, 81559, 12\n1, GPU-bbbb-2, [N/A], [N/A]\nnot a line\n")
    }

    #[test]
    fn nvidia_smis_lines_are_read() {
        let gpus = two();
        assert_eq!(gpus.len(), 2);
        assert_eq!(gpus[0], Gpu { index: 0, uuid: "GPU-aaaa-1".into(), total_mib: 81559, used_mib: 12 });
        assert_eq!(gpus[1].total_mib, 0);
    }

    #[test]
    fn ids_are_resolved_by_number_and_by_the_beginning_of_the_uuid() {
        for (ids, visible, indices, strangers, count) in [
            ("all", None, vec![0, 1], vec![], 2),
            ("all", Some("1"), vec![1], vec![], 1),
            ("none", None, vec![], vec![], 0),
            ("1", Some("0"), vec![1], vec![], 1),
            ("0,7", None, vec![0], vec!["7"], 2),
            ("GPU-bbbb", None, vec![1], vec![], 1),
            ("GPU-cccc", None, vec![], vec!["GPU-cccc"], 1),
            ("MIG-x,MIG-y", None, vec![0, 1], vec![], 2),
        ] {
            let chosen = choose(ids, visible, &two());
            let strangers: Vec<String> = strangers.into_iter().map(str::to_owned).collect();
            let expected = Chosen { indices: indices.into_iter().collect(), strangers, count };
            assert_eq!(chosen, expected, "{ids} {visible:?}");
        }
    }
}
