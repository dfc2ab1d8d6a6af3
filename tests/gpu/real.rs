//! The same on a real GPU, its memory held through the driver. Only where INFER_DEV_TEST_GPU=1 says so, which
//! `scripts/test --gpu` does; then a GPU that does not answer is a failure.
use super::PATIENT;
use crate::kit::{Keeping, left_out, root};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What drivers give and take beside what is asked of them.
const NOISE_MIB: u64 = 64;

/// There is one GPU for all tests.
static GPU: Mutex<()> = Mutex::new(());

struct Real {
    keeping: Keeping,
    _alone: MutexGuard<'static, ()>,
}

/// GPU 0 of this machine, for one test at a time.
fn real(test: &str) -> Option<Real> {
    if std::env::var_os("INFER_DEV_TEST_GPU").is_none_or(|value| value != "1") {
        left_out(&format!("{test}: INFER_DEV_TEST_GPU is not 1, as scripts/test --gpu sets it"));
        return None;
    }
    let alone = GPU.lock().unwrap_or_else(PoisonError::into_inner);
    let mut keeping = Keeping::new();
    // Where containers have the driver's programs and libraries.
    let path = format!("{}:{}", crate::kit::tools().display(), std::env::var("PATH").unwrap());
    keeping.sandbox.set("PATH", &path);
    if let Ok(libraries) = std::env::var("LD_LIBRARY_PATH") {
        keeping.sandbox.set("LD_LIBRARY_PATH", &libraries);
    }
    Some(Real { keeping, _alone: alone })
}

impl Real {
    fn ask(&self, query: &str) -> String {
        let script = format!("nvidia-smi --id=0 {query} --format=csv,noheader,nounits");
        self.keeping.sandbox.sh(&script).exits(0).stdout
    }

    fn mib(&self, field: &str) -> u64 {
        self.ask(&format!("--query-gpu=memory.{field}")).trim().parse().unwrap()
    }

    /// Whether the driver names any of these, which it often does not in a container.
    fn names(&self, pids: &[u32]) -> bool {
        self.ask("--query-compute-apps=pid")
            .lines()
            .any(|pid| pid.trim().parse().is_ok_and(|pid| pids.contains(&pid)))
    }

    /// A stranger who holds so much.
    fn stranger(&self, mib: u64) -> Stranger {
        let mut command = self.keeping.sandbox.command(root().join("tests/data/gpu/hold-memory"));
        let mut child = command.args(["0", &mib.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        let up = BufReader::new(child.stdout.take().unwrap()).lines().next();
        assert_eq!(up.transpose().unwrap().as_deref(), Some("up"), "{mib} MiB are not to be had");
        Stranger(child)
    }

    /// An instance on this GPU.
    fn plan(&self, name: &str, script: &str) -> Value {
        let mut plan = self.keeping.plan(name, script);
        plan["gpu_ids"] = json!("0");
        plan
    }
}

struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The words that hold memory of GPU 0.
fn hold(words: &str) -> String {
    format!("{} 0 {words}", root().join("tests/data/gpu/hold-memory").display())
}

#[test]
fn what_a_stranger_holds_is_reported_and_refused_once_nothing_is_left() {
    let Some(real) = real("a stranger's memory") else { return };
    let (keeping, stranger) = (&real.keeping, real.stranger(4096));
    let launch = |name: &str| keeping.launch(&[real.plan(name, PATIENT)]);
    let warning = launch("a").exits(0).one("warning");
    let (what, pid) = (warning["what"].as_str().unwrap(), stranger.0.id());
    assert_eq!(warning["rule"], "gpu_memory");
    let who = if real.names(&[pid]) { format!("process {pid} (") } else { "cannot be seen".to_owned() };
    assert!(what.starts_with("others hold ") && what.contains(&who), "{what}");
    keeping.stop("a");
    // A context takes some hundred MiB itself.
    let all_but_little = real.mib("free") - real.mib("total") / 40 - 512;
    let _second = real.stranger(all_but_little);
    let failed = launch("b").exits(75).one("failed");
    assert_eq!((&failed["class"], &failed["code"]), (&json!("gpu_memory"), &json!(75)), "{failed}");
}

#[test]
fn an_instance_is_shown_with_its_memory_and_gives_all_of_it_back() {
    let Some(real) = real("an instance's memory") else { return };
    let (keeping, before) = (&real.keeping, real.mib("used"));
    drop(keeping.launch(&[real.plan("a", &format!("exec {}", hold("2048")))]).exits(0));
    keeping.wait_for_log("a", "up\n");
    assert!(real.mib("used") >= before + 2048);
    let status = keeping.sandbox.sh("istat").exits(1).one("status");
    let named = real.names(&keeping.marked("a"));
    assert_eq!(status.get("gpu_bytes").is_some(), named, "{status}");
    assert!(status.get("gpu_bytes").is_none_or(|bytes| bytes.as_u64().unwrap() >= 2048 << 20), "{status}");
    assert_eq!(keeping.sandbox.sh("istop").exits(0).kinds(), ["stopped"]);
    assert!(real.mib("used") <= before + NOISE_MIB, "{before} MiB before");
}

#[test]
fn loading_into_the_gpu_is_progress_though_nothing_else_moves() {
    let Some(real) = real("loading") else { return };
    // Nothing in the log: 256 MiB every 3 s, for 15 s.
    let mut plan = real.plan("a", &format!("exec {} > /dev/null", hold("256 256 3 5")));
    plan["control"]["stall_timeout_s"] = json!(8);
    let stream = real.keeping.launch(&[plan]).exits(0).stdout;
    real.keeping
        .sandbox
        .write("a.jsonl", stream.replace("$SANDBOX", real.keeping.sandbox.text("").trim_end_matches('/')));
    let begun = Instant::now();
    let failed = real.keeping.sandbox.sh("iprobe < a.jsonl").exits(75).one("failed");
    assert!(failed["cause"].as_str().unwrap().starts_with("no sign of progress for 8 s"), "{failed}");
    assert!(begun.elapsed() >= Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn what_a_killed_keeper_left_on_the_gpu_is_refused_until_istop_has_ended_it() {
    let Some(real) = real("orphans") else { return };
    let (keeping, before) = (&real.keeping, real.mib("used"));
    let script = format!("trap '' TERM; setsid {} & while :; do sleep 1000; done", hold("2048"));
    drop(keeping.launch(&[real.plan("lost", &script)]).exits(0));
    keeping.wait_for_log("lost", "up\n");
    keeping.signal_keeper("lost", Signal::KILL);
    keeping.wait_until_left("lost");
    let other = real.plan("other", PATIENT);
    if real.names(&keeping.marked("lost")) {
        let failed = keeping.launch(std::slice::from_ref(&other)).exits(75).one("failed");
        assert!(failed["cause"].as_str().unwrap().starts_with("what a killed keeper has left"), "{failed}");
    } else {
        let warning = keeping.launch(std::slice::from_ref(&other)).exits(0).one("warning");
        assert_eq!(warning["rule"], "gpu_memory");
        keeping.stop("other");
    }
    let stopped = keeping.sandbox.sh("istop lost").exits(0).one("stopped");
    assert_eq!(stopped["how"], "gone");
    assert!(real.mib("used") <= before + NOISE_MIB);
    assert_eq!(keeping.launch(&[other]).exits(0).kinds(), ["plan", "instance"]);
}
