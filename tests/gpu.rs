//! What GPUs have to do with starting, waiting, telling and stopping. `nvidia-smi` is a script that says what a test wants;
//! only `real` needs a GPU.
mod preflight;
mod stopping;
mod telling;
mod waiting;

use crate::kit::{Keeping, tools, wait_for};
use std::time::Duration;

/// Starts and runs until it is told to go.
pub(crate) const PATIENT: &str = "echo up; while :; do sleep 1000 & wait; done";

/// A sandbox whose `nvidia-smi` answers from files, and notes what it was asked.
struct Machine {
    keeping: Keeping,
}

impl Machine {
    /// GPUs of 80000 MiB, each with so many MiB used.
    fn with(used: &[u64]) -> Self {
        let mut keeping = Keeping::new();
        let folder = keeping.sandbox.text("gpu");
        let script = format!(
            "#!/bin/bash\necho \"$1\" >> {folder}/asked\n\
             case $1 in --query-gpu=*) cat {folder}/devices ;; --query-compute-apps=*) cat {folder}/holders ;; \
             *) exit 2 ;; esac\n"
        );
        keeping.sandbox.script("bin/nvidia-smi", &script);
        let path = format!("{}:{}:/usr/bin:/bin", keeping.sandbox.text("bin"), tools().display());
        keeping.sandbox.set("PATH", &path);
        let machine = Self { keeping };
        machine.uses(used);
        machine.names(&[]);
        machine
    }

    /// So many MiB of each GPU are used from now on.
    fn uses(&self, used: &[u64]) {
        let line = |(index, used): (usize, &u64)| {
            format!("{index}, GPU-{index}, NVIDIA H200, 80000, {used}, {}\n", 80_000 - used)
        };
        self.say("devices", &used.iter().enumerate().map(line).collect::<String>());
    }

    /// These hold memory from now on: the GPU's number, the process, MiB.
    fn names(&self, holders: &[(u32, u32, u64)]) {
        let line = |(index, pid, mib): &(u32, u32, u64)| format!("GPU-{index}, {pid}, {mib}\n");
        self.say("holders", &holders.iter().map(line).collect::<String>());
    }

    /// By one rename, because it is read at any moment.
    fn say(&self, file: &str, lines: &str) {
        let draft = self.keeping.sandbox.write("gpu/draft", lines);
        std::fs::rename(draft, self.keeping.sandbox.path(&format!("gpu/{file}"))).unwrap();
    }

    /// How often it was asked for what begins like this.
    fn asked(&self, query: &str) -> usize {
        let asked = std::fs::read_to_string(self.keeping.sandbox.path("gpu/asked")).unwrap_or_default();
        asked.lines().filter(|line| line.starts_with(query)).count()
    }

    fn wait_until_asked(&self, query: &str, times: usize) {
        let what = format!("{query} to be asked {times} times");
        wait_for(&what, Duration::from_secs(30), || self.asked(query) >= times);
    }

    /// The engine's process.
    fn pid(&self, instance: &str) -> u32 {
        self.keeping.status(instance)["pid"].as_u64().unwrap().try_into().unwrap()
    }
}
