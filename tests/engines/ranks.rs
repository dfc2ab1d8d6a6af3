//! More than one process that computes: two ranks of one server, and the two nodes of another.
use super::{LIMIT, on, on_each};
use crate::kit::{free_port, wait_for};
use serde_json::Value;

/// A core for each rank, and no NCCL: the torch of these packages has it, and it takes no CPU.
const OF_SGLANG: &str = "SGLANG_CPU_OMP_THREADS_BIND = '0|1'\nSGLANG_NCCL_SO_PATH = 'none'";

#[test]
fn two_ranks_answer_and_leave_nothing() {
    on_each("two ranks", |real| {
        let (lines, kind) = match real.engine {
            "vllm" => ("tensor_parallel_size = 2", "Worker"),
            _ => ("tp_size = 2", "sglang::scheduler"),
        };
        real.configure(&format!(
            "{lines}\n[instance.a.control]\nallow = ['gpu_count']\n[instance.a.env]\n\
             VLLM_CPU_KVCACHE_SPACE = '1'\nOMP_NUM_THREADS = '1'\nVLLM_CPU_OMP_THREADS_BIND = '0|1'\n{OF_SGLANG}",
        ));
        real.serve();
        drop(real.sandbox.sh("ichat --instance a --max-tokens 8 Hello").exits(0).one("answer"));
        let held = real.held();
        assert!(real.named(kind).len() >= 2, "{:?}", held.pids);
        drop(real.sandbox.sh("istop").exits(0).one("stopped"));
        real.is_gone(&held);
    });
}

/// The second node has no server: it is ready when it says that it is healthy, and nobody chats with it.
#[test]
fn two_nodes_answer_at_the_first_and_leave_nothing() {
    on(&["sglang"], "two nodes", |real| {
        let meeting = free_port();
        let node = |rank: u8, port: u16| {
            format!(
                "[instance.{name}.server]\nmodel_path = '{model}'\nserved_model_name = 'tiny'\nport = {port}\n\
                 device = 'cpu'\nmax_total_tokens = 8192\nmem_fraction_static = 0.1\ntp_size = 2\nnnodes = 2\n\
                 node_rank = {rank}\ndist_init_addr = '127.0.0.1:{meeting}'\n\
                 [instance.{name}.env]\nOMP_NUM_THREADS = '1'\n{OF_SGLANG}\n",
                name = ["a", "b"][usize::from(rank)],
                model = real.sandbox.text("m"),
            )
        };
        real.sandbox.write("engine.toml", node(0, real.port) + &node(1, free_port()));
        let stages = format!("| ilaunch | iprobe --timeout {} | ichat --max-tokens 8 Hello", LIMIT.as_secs());
        let output = real.pipe(&stages).exits(0);
        let rung = |ready: &Value| (ready["instance"].clone(), ready["rung"].clone());
        let mut rungs: Vec<_> = output.all("ready").iter().map(rung).collect();
        rungs.sort_by_key(|(instance, _)| instance.to_string());
        assert_eq!(rungs, [("a".into(), "answering".into()), ("b".into(), "healthy".into())]);
        assert_ne!(output.one("answer")["content"], "");
        let held = real.held();
        wait_for("both nodes", LIMIT, || real.named("sglang::scheduler").len() >= 2);
        let stopped = real.sandbox.sh("istop").exits(0).all("stopped");
        assert_eq!(stopped.len(), 2, "{stopped:?}");
        println!("stopped: {stopped:?}");
        real.is_gone(&held);
    });
}
