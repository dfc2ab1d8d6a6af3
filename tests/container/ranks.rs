//! Engines over several nodes: each node has namespaces and an address of its own, as pods and machines have.
use crate::kit::{Sandbox, as_root, root, speaking, wait_for};
use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);
/// Makes two nodes that see each other by the network and share no memory, and stays until it is ended. Both are known by the
/// processes in them.
const NODES: &str = r#"
unshare -n -i -m sh -c 'mount -t tmpfs shm /dev/shm && exec sleep 2000' & echo $! >pid0
unshare -n -i -m sh -c 'mount -t tmpfs shm /dev/shm && exec sleep 2000' & echo $! >pid1
for node in 0 1; do
    until grep -q sleep /proc/$(cat pid$node)/comm; do sleep 0.01; done
done
nsenter -n -t $(cat pid0) ip link add leg type veth peer name leg netns $(cat pid1)
for node in 0 1; do
    nsenter -n -t $(cat pid$node) ip link set lo up
    nsenter -n -t $(cat pid$node) ip addr add 192.0.2.1$node/24 dev leg
    nsenter -n -t $(cat pid$node) ip link set leg up
done
touch up
wait
"#;

/// Two nodes, and what runs on them. They share a workspace, and no run directory.
pub(crate) struct Nodes<'s> {
    sandbox: &'s Sandbox,
    /// Of both ranks.
    engine: &'static str,
    instance: &'static str,
    children: Vec<Child>,
}

impl<'s> Nodes<'s> {
    pub(crate) fn new(sandbox: &'s Sandbox, engine: &'static str, instance: &'static str) -> Self {
        let mut nodes = Self { sandbox, engine, instance, children: Vec::new() };
        nodes.start("bash", &["-ec", NODES]);
        wait_for("two nodes", LIMIT, || nodes.sandbox.path("up").exists());
        nodes
    }

    fn start(&mut self, program: &str, arguments: &[&str]) {
        let log = fs::File::create(self.sandbox.path(&format!("out{}", self.children.len()))).unwrap();
        let mut command = self.sandbox.command(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push(command.spawn().unwrap());
    }

    /// A command on a node.
    pub(crate) fn on(&self, node: u32, words: &str) -> String {
        let (pid, run) = (self.sandbox.read(&format!("pid{node}")), self.sandbox.text(&format!("run{node}")));
        format!("exec nsenter -n -i -m -t {} env AUTO_INFER_RUN_DIR={run} {words}", pid.trim())
    }

    /// A script of scripts/container/k8s on a node.
    fn script(&self, node: u32, words: &str) -> String {
        self.on(node, &format!("{}/scripts/container/k8s/{words}", root().display()))
    }

    pub(crate) fn serve(&mut self, rank: u32) {
        let (engine, instance) = (self.engine, self.instance);
        let script = self.script(rank, &format!("node.sh {engine} {instance} {rank} 2 192.0.2.10 20000"));
        self.start("bash", &["-c", &script]);
    }

    pub(crate) fn probe(&self, rank: u32) -> i32 {
        let (engine, instance) = (self.engine, self.instance);
        self.sandbox.sh(&self.script(rank, &format!("probe.sh {engine} {instance} {rank}"))).code
    }

    pub(crate) fn all_output(&self) -> String {
        (0..self.children.len()).map(|at| self.sandbox.read(&format!("out{at}"))).collect()
    }
}

impl Drop for Nodes<'_> {
    fn drop(&mut self) {
        for node in [0, 1] {
            let run = self.sandbox.text(&format!("run{node}"));
            drop(self.sandbox.sh(&format!("istop --run-dir {run} || true")));
            drop(self.sandbox.sh(&format!("kill $(cat pid{node}) || true")));
        }
        for child in &mut self.children {
            drop(child.wait());
        }
    }
}

/// A sandbox with an engine of the tests' own, instance `main`, which forms its ranks and answers.
fn sandbox(engine: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    let python =
        speaking(engine) + &format!("exec python3 {}/tests/data/ranks.py \"$@\"\n", root().display());
    let python = sandbox.script("bin/python", &python);
    sandbox.write("served/healthy", "");
    sandbox.write("served/ids", "main");
    fs::create_dir(sandbox.path("model")).unwrap();
    let model = if engine == "sglang" { "model_path" } else { "model" };
    let path = sandbox.text("model");
    let module = if engine == "vllm" { "[master]\napi_server_module = 'vllm_ranks'\n" } else { "" };
    let config = format!(
        "{module}[instance.main.control]\nallow = ['weights_missing', 'model_files', 'chat_template']\n\
         [instance.main.server]\n{model} = '{path}'\nserved_model_name = 'main'\nhost = '0.0.0.0'\nport = 7000\n"
    );
    sandbox.write("config.toml", config);
    let part = engine.to_uppercase();
    sandbox.set(&format!("AUTO_INFER_{part}_CONFIG"), &sandbox.text("config.toml"));
    sandbox.set(&format!("AUTO_INFER_{part}_PYTHON"), python.to_str().unwrap());
    sandbox.set("RANKS_FOLDER", &sandbox.text("served"));
    sandbox
}

#[test]
fn each_node_gets_its_rank_and_one_answer_is_the_readiness_of_all() {
    if !as_root() {
        return;
    }
    for engine in ["sglang", "vllm"] {
        let sandbox = sandbox(engine);
        let mut nodes = Nodes::new(&sandbox, engine, "main");
        nodes.serve(0);
        wait_for("rank 0 to run", LIMIT, || {
            nodes.sandbox.path(&format!("run0/{engine}/main/plan.json")).exists()
        });
        assert_ne!(nodes.probe(0), 0, "one rank is no server\n{}", nodes.all_output());
        nodes.serve(1);
        wait_for("the answer", LIMIT, || nodes.probe(0) == 0);
        assert_eq!(nodes.probe(1), 0, "{}", nodes.all_output());
        let plan = |rank: u32| nodes.sandbox.read(&format!("run{rank}/{engine}/main/plan.json"));
        for rank in [0, 1] {
            assert!(plan(rank).contains(&format!(r#""--node-rank","{rank}""#)), "{}", plan(rank));
        }
        assert_eq!(plan(1).contains("--headless"), engine == "vllm");
        // Where there is no way out, an engine finds no address of its own by itself.
        let environment = |rank: u32| {
            let pid = sandbox.sh(&format!("jq .pid run{rank}/{engine}/main/status.json")).exits(0).stdout;
            fs::read(format!("/proc/{}/environ", pid.trim())).unwrap()
        };
        for rank in [0, 1] {
            let own = format!("{}_HOST_IP=192.0.2.1{rank}\0", engine.to_uppercase());
            assert!(String::from_utf8_lossy(&environment(rank)).contains(&own), "rank {rank} has no {own}");
        }
        // A rank that ends ends its node; what it was started by is told so by the exit code.
        drop(nodes.sandbox.sh(&format!("kill -KILL $(jq .pid run1/{engine}/main/status.json)")).exits(0));
        let status = nodes.children[2].wait().unwrap();
        assert!(!status.success(), "{status}\n{}", nodes.all_output());
    }
}
