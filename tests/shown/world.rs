//! The machine that the pages speak of, in a sandbox: its media, models and configurations, and three engines.
use crate::imodel::folders;
use crate::kit::{Loopback, Output, Sandbox, Tiny, fixture, free_port, is_root, root};
use crate::pipeline::roads;
use std::fs;

/// Folders of that machine which are in the sandbox instead.
const FOLDERS: [&str; 10] = [
    "/media",
    "/models",
    "/llm-models",
    "/etc/infer-dev",
    "/srv",
    "/evidence",
    "/var/lib",
    "/data",
    "/offline-data",
    "/run/infer-dev",
];

/// Only against hanging, in seconds.
const LIMIT: &str = "300";

/// What has been done on that machine before: all engines are installed, llama.cpp the second time.
const PREPARE: &str = "
    mkdir -p home/.codex config keep data/sglang-cache
    echo Hello > report.txt
    cp etc/infer-dev/*.toml config
    cp models/own.gguf media
    zcat media/llama.tar.gz | gzip -1 > media/old.tar.gz
    AUTO_INFER_LLAMA_CPP_PKG_PATH=$PWD/media/old.tar.gz ienv llama-cpp | iinstall > old.jsonl
    ienv llama-cpp sglang vllm | icache | iinstall > installed.jsonl";

/// What a page begins with.
const BEFORE: [(&str, &str); 4] = [
    (
        "ijoin.1",
        "head -c 300K /dev/urandom > b; tar -cf bundle.tar b
        for folder in parts stick; do isplit --size 64KiB bundle.tar -d media/$folder; done
        cp -r media/stick media/stick-1; mkdir media/stick-2; mv media/stick-1/*002-of* media/stick-2; rm bundle.tar",
    ),
    ("ipack.1", "rm -r media/parts"),
    (
        "ireport.1",
        "export INFER_DEV_KEEP=$PWD/keep; istat > keep/boot-20261121T120000Z-1.jsonl
        cp keep/boot-*.jsonl boot.jsonl; cp boot.jsonl boot-last-week.jsonl; cp boot.jsonl boot-today.jsonl",
    ),
    (
        "isplit.1",
        "rm -r media/parts; head -c 930K /dev/urandom > bundle.tar; cp bundle.tar sglang.tar
        isplit --size 64KiB bundle.tar -d .; rm bundle.tar",
    ),
];

/// It, and what runs on it until it is dropped.
pub(crate) struct World {
    sandbox: Sandbox,
    /// Ports of the pages, and those that are free here.
    ports: Vec<(&'static str, String)>,
    /// What pixi fetches from.
    channels: Vec<Loopback>,
}

impl World {
    pub(crate) fn new() -> Self {
        let ports = ["8080", "8000", "8001", "11899", "30000"].map(|port| (port, free_port().to_string()));
        let mut world = Self { sandbox: roads::sandbox("sglang"), ports: ports.into(), channels: Vec::new() };
        world.lay_out();
        world.configure();
        for (folder, engine) in [("s", "sglang"), ("v", "vllm")] {
            let path = world.sandbox.path(folder);
            fs::create_dir(&path).unwrap();
            world.channels.push(fixture::engine(engine, &path));
        }
        drop(world.sandbox.sh(PREPARE).exits(0));
        world
    }

    /// Its folders, archives and models.
    fn lay_out(&self) {
        let others = ["/media/usb", "/media/stick", "/var/lib/node_exporter", "/var/lib/infer-dev"];
        for folder in FOLDERS.into_iter().chain(others) {
            fs::create_dir_all(self.sandbox.path(&folder[1..])).unwrap();
        }
        let tiny = Tiny::get();
        for name in ["media/llama.tar.gz", "media/usb/llama-b11434-bin.tar.gz"] {
            fs::copy(&tiny.archive, self.sandbox.path(name)).unwrap();
        }
        fs::copy(&tiny.model, self.sandbox.path("models/own.gguf")).unwrap();
        folders::write_to(&self.sandbox, "llm-models/GLM-4.7");
    }

    /// Its TOML files and variables.
    fn configure(&mut self) {
        let port = |of: &str| self.ports.iter().find(|(port, _)| *port == of).unwrap().1.clone();
        let (gguf, model) = (self.sandbox.text("models/own.gguf"), self.sandbox.text("llm-models/GLM-4.7"));
        let llama = format!(
            "[instance.server]\nmodel = {gguf:?}\nctx_size = 4096\n[instance.tiny.server]\nport = {}\n\
             [instance.glm4.server]\nport = {}\n",
            port("8080"),
            free_port()
        );
        let vllm = format!("[instance.glm.server]\nmodel = {model:?}\nport = {}\n", port("8000"));
        let sglang = format!("[instance.glm.server]\nmodel_path = {model:?}\nport = {}\n", port("30000"));
        let bridge = format!("127.0.0.1:{}", port("11899"));
        for (engine, text) in [("llama", llama), ("vllm", vllm), ("sglang", sglang)] {
            self.sandbox.write(&format!("etc/infer-dev/{engine}.toml"), text);
        }
        self.sandbox.set("AUTO_INFER_BRIDGE_LISTEN", &bridge);
        for (name, value) in [
            ("LLAMA_CPP_CONFIG", "etc/infer-dev/llama.toml"),
            ("LLAMA_CPP_PKG_PATH", "media/llama.tar.gz"),
            ("SGLANG_CONFIG", "etc/infer-dev/sglang.toml"),
            ("VLLM_CONFIG", "etc/infer-dev/vllm.toml"),
            ("SGLANG_TEMPLATE_DIR", "s/template"),
            ("SGLANG_CACHE_ROOT", "s/cache"),
            ("VLLM_TEMPLATE_DIR", "v/template"),
            ("VLLM_CACHE_ROOT", "v/cache"),
        ] {
            let value = self.sandbox.text(value);
            self.sandbox.set(&format!("AUTO_INFER_{name}"), &value);
        }
    }

    /// Have everything run, and what this page begins with.
    pub(crate) fn turn_to(&self, page: &str) {
        let before = BEFORE.iter().find(|(of, _)| *of == page).map_or("", |(_, script)| script);
        let serve = "ienv llama-cpp sglang vllm | ilaunch | iprobe > started.jsonl";
        drop(self.sandbox.sh(&with_scripts(&format!("{before}\n{serve}"))).exits(0));
    }

    /// Run these lines in one shell.
    pub(crate) fn run(&self, lines: &str) -> Output {
        let mut script = lines.to_owned();
        for folder in FOLDERS {
            for before in [' ', '='] {
                let here = format!(
                    "{before}{}",
                    self.sandbox.text(if folder == "/run/infer-dev" { "run" } else { &folder[1..] })
                );
                script = script.replace(&format!("{before}{folder}"), &here);
            }
        }
        for (port, here) in &self.ports {
            script = script.replace(&format!(":{port}"), &format!(":{here}"));
        }
        script = script.replace("scripts/templates/sglang", "s/template");
        if script.contains("iwarm") { self.on_volumes(&script) } else { self.within_limit(&script) }
    }

    fn within_limit(&self, script: &str) -> Output {
        let mut command = self.sandbox.command("timeout");
        self.sandbox.finish(command.args([LIMIT, "bash", "-euo", "pipefail", "-c"]).arg(with_scripts(script)))
    }

    /// With the caches on volumes, also where the tests run in a container: there iwarm fills no other.
    fn on_volumes(&self, script: &str) -> Output {
        let mut command = self.sandbox.command("unshare");
        let script = format!("mount --bind s s; mount --bind v v; {}", with_scripts(script));
        let user = if is_root() { "-m" } else { "-rm" };
        self.sandbox
            .finish(command.args([user, "timeout", LIMIT, "bash", "-euo", "pipefail", "-c"]).arg(script))
    }
}

/// With our scripts on PATH.
fn with_scripts(script: &str) -> String {
    format!("PATH={}:$PATH\n{script}", root().join("scripts").display())
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.sandbox.sh("istop"));
    }
}
