//! Twenty real servers at once: started, probed, some killed, kept, stopped, and nothing of them left.
use crate::kit::{Sandbox, free_port, send, started_in, wait_for};
use crate::pipeline::sandbox_with_engine;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

const INSTANCES: usize = 20;
const KILLED: usize = 5;
const LIMIT: Duration = Duration::from_secs(60);

fn status(sandbox: &Sandbox, number: usize) -> Value {
    serde_json::from_str(&sandbox.read(&format!("run/llama-cpp/tiny{number}/status.json"))).unwrap()
}

fn pid(status: &Value) -> Option<u32> {
    status["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap())
}

#[test]
fn twenty_servers_come_up_five_are_killed_all_are_ready_again_and_nothing_is_left() {
    let ports: Vec<u16> = (0..INSTANCES).map(|_| free_port()).collect();
    let sandbox = sandbox_with_engine(&ports);
    let config = sandbox.read("llama.toml").replace("ctx_size = 4096", "ctx_size = 256\nthreads = 1");
    sandbox.write("llama.toml", config + "[instance.control]\nbackoff_ms = 50\n");
    let up = sandbox.sh("ienv llama-cpp | iinstall | iplan | ilaunch > up.jsonl; iprobe < up.jsonl").exits(0);
    assert_eq!(up.all("ready").len(), INSTANCES);
    let first: Vec<u32> = (0..INSTANCES).map(|number| pid(&status(&sandbox, number)).unwrap()).collect();
    first.iter().take(KILLED).for_each(|pid| send(*pid, Signal::KILL));
    let anew = |number: usize| pid(&status(&sandbox, number)).is_some_and(|pid| pid != first[number]);
    wait_for("five more starts", LIMIT, || (0..KILLED).all(anew));
    let again = sandbox.sh("iprobe < up.jsonl").exits(0);
    assert_eq!(again.all("ready").len(), INSTANCES);
    for (number, first) in first.iter().enumerate() {
        let status = status(&sandbox, number);
        assert_eq!(status["restarts"], json!(u32::from(number < KILLED)), "{status}");
        assert_eq!(pid(&status) != Some(*first), number < KILLED, "{status}");
    }
    let told = sandbox.sh("istat").exits(0).all("status");
    assert!(told.len() == INSTANCES && told.iter().all(|status| status["state"] == "running"));
    assert_eq!(started_in(&sandbox).len(), 2 * INSTANCES, "keepers and engines");

    let stopped = sandbox.sh("istop").exits(0).all("stopped");
    assert_eq!(stopped.len(), INSTANCES);
    assert!(stopped.iter().all(|stopped| stopped["how"] == "term" && stopped["orphans"] == 0), "{stopped:?}");
    assert_eq!(started_in(&sandbox), Vec::<u32>::new());
    for (number, port) in ports.iter().enumerate() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap();
        let directory = state::Directory::at(sandbox.path(&format!("run/llama-cpp/tiny{number}")));
        assert_eq!(directory.keeper().unwrap(), None);
        assert_eq!(status(&sandbox, number)["state"], "stopped");
    }
}
