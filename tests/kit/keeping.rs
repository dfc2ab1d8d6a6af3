//! Plans made by hand and the instances that come of them.
use super::{Output, Sandbox, alive, free_port, wait_for};
use rustix::process::{Flock, FlockType, Pid, Signal, fcntl_getlk, kill_process};
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A sandbox whose instances are ended with it. Any user may look into it.
pub(crate) struct Keeping {
    pub(crate) sandbox: Sandbox,
}

impl Keeping {
    pub(crate) fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let sandbox = Sandbox::new();
        std::fs::set_permissions(sandbox.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { sandbox }
    }

    /// The plan of a llama.cpp instance whose engine is this bash script.
    pub(crate) fn plan(&self, instance: &str, script: &str) -> Value {
        let program =
            self.sandbox.script(&format!("engines/{instance}"), &format!("#!/bin/bash\n{script}\n"));
        json!({
            "kind": "plan", "engine": "llama-cpp", "instance": instance,
            "workspace": self.sandbox.text("w"), "config": self.sandbox.text("c.toml"),
            "config_sha256": "0", "program": program, "args": [], "env_set": {},
            "host": "127.0.0.1", "port": free_port(),
            "log_file": self.log_file(instance), "state_dir": self.state_dir(instance), "gpu_ids": "all",
            "control": {
                "background": true, "log_max_mib": 64, "log_keep": 3, "gpu_ids": "all", "share_gpu": false,
                "restart": "on-failure", "max_restarts": 5, "backoff_ms": 1000, "ready_rung": "answering",
                "ready_timeout_s": 60, "stall_timeout_s": 60, "stop_timeout_s": 20, "offline": true,
                "via_pixi": false
            },
            "hash": "1"
        })
    }

    /// Pipe the plans into `ilaunch`.
    pub(crate) fn launch(&self, plans: &[Value]) -> Output {
        let lines: String = plans.iter().map(|plan| format!("{plan}\n")).collect();
        let name = format!("plans-{}.jsonl", plans[0]["instance"].as_str().unwrap());
        self.sandbox.write(&name, lines);
        self.sandbox.sh(&format!("ilaunch < {name}"))
    }

    /// Launch one script and wait until it has printed `up`, and its keeper has said which process it is.
    pub(crate) fn start(&self, instance: &str, script: &str) -> Value {
        let plan = self.plan(instance, script);
        self.launch(std::slice::from_ref(&plan)).exits(0).one("instance");
        self.wait_for_log(instance, "up\n");
        let told = || self.status(instance)["pid"].is_u64() || self.status(instance)["state"] != "running";
        wait_for(&format!("the process of {instance}"), LIMIT, told);
        plan
    }

    pub(crate) fn state_dir(&self, instance: &str) -> PathBuf {
        self.sandbox.path("run/llama-cpp").join(instance)
    }

    pub(crate) fn log_file(&self, instance: &str) -> PathBuf {
        self.sandbox.path("logs").join(format!("{instance}.log"))
    }

    pub(crate) fn log(&self, instance: &str) -> String {
        std::fs::read_to_string(self.log_file(instance)).unwrap_or_default()
    }

    pub(crate) fn wait_for_log(&self, instance: &str, text: &str) {
        wait_for(&format!("{text:?} in the log of {instance}"), LIMIT, || self.log(instance).contains(text));
    }

    /// `status.json`; null where there is none.
    pub(crate) fn status(&self, instance: &str) -> Value {
        let bytes = std::fs::read(self.state_dir(instance).join("status.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    pub(crate) fn wait_for_state(&self, instance: &str, state: &str) -> Value {
        wait_for(&format!("{instance} to be {state}"), LIMIT, || self.status(instance)["state"] == state);
        self.status(instance)
    }

    /// The process that holds the lock; asked here, because the tools refuse run directories of others, which some tests make.
    pub(crate) fn keeper(&self, instance: &str) -> Option<u32> {
        let lock = std::fs::File::open(self.state_dir(instance).join("lock")).ok()?;
        let holder = fcntl_getlk(&lock, &Flock::from(FlockType::WriteLock)).unwrap()?.pid?;
        u32::try_from(holder.as_raw_nonzero().get()).ok()
    }

    pub(crate) fn signal_keeper(&self, instance: &str, signal: Signal) {
        send(self.keeper(instance).unwrap(), signal);
    }

    /// TERM to the keeper, and wait until it has gone.
    pub(crate) fn stop(&self, instance: &str) -> Value {
        self.signal_keeper(instance, Signal::TERM);
        self.wait_until_left(instance);
        self.status(instance)
    }

    pub(crate) fn wait_until_left(&self, instance: &str) {
        wait_for(&format!("the keeper of {instance} to go"), LIMIT, || self.keeper(instance).is_none());
    }

    /// Every live process that carries the instance's mark.
    pub(crate) fn marked(&self, instance: &str) -> Vec<u32> {
        let status = self.status(instance);
        status["mark"].as_str().map_or_else(Vec::new, |mark| carrying(&format!("INFER_DEV_INSTANCE={mark}")))
    }

    /// Every live process that was started in this sandbox, whatever became of its parents.
    pub(crate) fn processes(&self) -> Vec<u32> {
        started_in(&self.sandbox)
    }

    /// Every instance that was ever kept here.
    fn instances(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.sandbox.path("run/llama-cpp")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        for instance in self.instances() {
            if let Some(pid) = self.keeper(&instance) {
                send(pid, Signal::TERM);
                self.wait_until_left(&instance);
            }
        }
        for pid in self.processes() {
            send(pid, Signal::KILL);
        }
    }
}

/// A log without the times of the keeper's lines.
pub(crate) fn untimed(log: &str) -> String {
    let line = |line: &str| match state::Note::read(line) {
        Some(note) => state::Note { at_unix: None, ..note }.to_string(),
        None => line.to_owned(),
    };
    log.lines().map(|text| line(text) + "\n").collect()
}

/// Every live process that was started in a sandbox, whatever became of its parents.
pub(crate) fn started_in(sandbox: &Sandbox) -> Vec<u32> {
    carrying(&format!("TMPDIR={}", sandbox.text("tmp")))
}

/// Every live process whose environment began with this entry.
fn carrying(entry: &str) -> Vec<u32> {
    let carries = |pid: &u32| {
        let environ = environment(*pid);
        environ.split(|byte| *byte == 0).any(|found| found == entry.as_bytes()) && alive(*pid)
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(carries).collect()
}

/// In one read, and again for a while where it is empty: a process that is executing another program has none for a moment.
fn environment(pid: u32) -> Vec<u8> {
    let mut environ = vec![0; 1 << 20];
    for _ in 0..10 {
        let file = std::fs::File::open(format!("/proc/{pid}/environ"));
        let Ok(count) = file.and_then(|mut file| file.read(&mut environ)) else { break };
        if count > 0 {
            environ.truncate(count);
            return environ;
        }
        // Threads of the kernel and the dead have no program.
        if std::fs::read_link(format!("/proc/{pid}/exe")).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Vec::new()
}

/// Signal a process that may have gone.
pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).ok();
}
