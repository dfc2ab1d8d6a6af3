//! One server of two nodes, each with an address of its own and no way out.
use super::{LIMIT, on};
use crate::container::ranks::Nodes;
use crate::kit::{as_root, root, started_in, wait_for};

/// The plan of scripts/container/k8s/vllm.yml on two nodes, each with one rank, an address and no way out.
#[test]
fn two_nodes_form_one_server_and_leave_nothing() {
    if !as_root() {
        return;
    }
    on(&["vllm"], "two nodes with a rank each", |real| {
        // The build for a CPU has another name than the one by which the command asks for its version.
        real.sandbox.write("meta/vllm-0.32.0+cpu.dist-info/METADATA", "Name: vllm\nVersion: 0.32.0+cpu\n");
        let path = format!("{}/scripts/container/k8s:{}", root().display(), real.sandbox.text("meta"));
        real.configure(&format!(
            "host = '0.0.0.0'\ntensor_parallel_size = 2\ndistributed_executor_backend = 'mp'\n\
             [instance.a.control]\nallow = ['gpu_count']\n[instance.a.env]\nVLLM_CPU_KVCACHE_SPACE = '1'\n\
             OMP_NUM_THREADS = '1'\nVLLM_CPU_OMP_THREADS_BIND = 'nobind'\nGLOO_SOCKET_IFNAME = 'leg'\n\
             PYTHONPATH = '{path}'\nPYTHONDONTWRITEBYTECODE = '1'\n"
        ));
        let module = "[master]\napi_server_module = 'vllm_ranks'\n";
        real.sandbox.write("engine.toml", format!("{module}{}", real.sandbox.read("engine.toml")));
        let mut nodes = Nodes::new(&real.sandbox, "vllm", "a");
        nodes.serve(0);
        nodes.serve(1);
        wait_for("one server of two nodes", LIMIT, || nodes.probe(0) == 0);
        assert_eq!(nodes.probe(1), 0, "{}", nodes.all_output());
        let ask = nodes.on(0, "ichat --instance vllm/a --max-tokens 8 Hello");
        assert_ne!(real.sandbox.sh(&ask).exits(0).one("answer")["content"], "");
        for rank in [0, 1] {
            let log = real.sandbox.read(&format!("w/logs/rank-{rank}/vllm/a.log"));
            assert!(log.contains(&format!("Worker_TP{rank} ")), "{log}");
        }
        drop(nodes);
        assert_eq!(started_in(&real.sandbox), Vec::<u32>::new());
    });
}
