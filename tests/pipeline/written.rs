//! A home for what engines write while they run: for any uid, over restarts, and gone with its install.
use crate::kit::{Output, Sandbox, Tiny, as_root, free_port, not_run};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// A uid that no user has, as OpenShift gives them.
const UID: u32 = 1_002_700_002;

/// What torch, vLLM, Triton and their like do at import and at start, with a real Python: ask who they are, and write where
/// each library's variable or the home folder says.
const ENGINE: &str = r#"
import getpass, http.server, json, os, sys
user = getpass.getuser()
home = os.path.join(os.path.expanduser("~"), ".cache", "vllm")
names = ["FLASHINFER_WORKSPACE_BASE", "HF_MODULES_CACHE", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR",
         "TRITON_CACHE_DIR", "VLLM_CACHE_ROOT", "XDG_CACHE_HOME"]
for folder in [home] + [os.environ[name] for name in names]:
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "kernel"), "a") as file:
        file.write("compiled\n")
assert not sys.dont_write_bytecode
port = int(sys.argv[sys.argv.index("--port") + 1])
class Server(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def answer(self, body):
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self): self.answer({"data": [{"id": "m"}]})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"choices": [{"index": 0, "message": {"role": "assistant", "content": user}, "finish_reason": "stop"}]})
http.server.ThreadingHTTPServer(("127.0.0.1", port), Server).serve_forever()
"#;

/// A sandbox on a volume that root's group may write to, as images for such uids have it, with a configuration of each
/// engine; the model and the package are where everybody can read them.
fn volume() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.write("py/fakeengine.py", ENGINE);
    for folder in ["", "run", "w", "tmp"] {
        fs::set_permissions(sandbox.path(folder), Permissions::from_mode(0o775)).unwrap();
    }
    let python = |engine: &str, module: &str, model: &str| {
        let toml = format!(
            "[master]\npython_path = '/usr/bin/python3'\n{module} = 'fakeengine'\n[instance.a.control]\n\
             allow = ['model_missing', 'flags_unknown']\nstop_timeout_s = 5\n[instance.a.env]\nPYTHONPATH = {:?}\n\
             [instance.a.server]\n{model} = '/none'\nserved_model_name = 'm'\nport = {}\n",
            sandbox.path("py"),
            free_port()
        );
        sandbox.write(&format!("{engine}.toml"), toml)
    };
    let configs = [
        ("VLLM", python("vllm", "api_server_module", "model")),
        ("SGLANG", python("sglang", "server_module", "model_path")),
    ];
    for (engine, config) in configs {
        sandbox.set(&format!("AUTO_INFER_{engine}_CONFIG"), config.to_str().unwrap());
    }
    let tiny = Tiny::get();
    fs::copy(&tiny.model, sandbox.path("tiny.gguf")).unwrap();
    fs::copy(&tiny.archive, sandbox.path("llama.tar.gz")).unwrap();
    let toml = format!(
        "[instance.a.server]\nmodel = {:?}\nctx_size = 512\nport = {}\n",
        sandbox.path("tiny.gguf"),
        free_port()
    );
    let config = sandbox.write("llama.toml", toml);
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", config.to_str().unwrap());
    let archive = sandbox.text("llama.tar.gz");
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", &archive);
    sandbox.set("AUTO_INFER_LLAMA_CPP_INSTALL_DIR", &sandbox.text("w/llama"));
    sandbox.unset("HOME");
    sandbox.set("PYTHONDONTWRITEBYTECODE", "1");
    sandbox
}

#[test]
fn a_uid_that_no_user_has_boots_all_three_engines_and_finds_again_what_they_wrote() {
    if !as_root() {
        return;
    }
    let sandbox = volume();
    let random = format!("setpriv --reuid={UID} --regid=0 --clear-groups");
    let pipeline = "umask 022; for engine in llama-cpp vllm sglang; do ienv $engine; done |
        iinstall | iplan | ilaunch | iprobe";
    for start in 1..=2 {
        let boot = sandbox.sh(&format!("{random} bash -euo pipefail -c '{pipeline}'")).exits(0);
        assert_eq!(boot.all("ready").len(), 3, "{}", boot.transcript());
        assert!(boot.all("warning").iter().all(|warning| warning["rule"] != "env_dropped"));
        let mut folders = Vec::new();
        for plan in boot.all("plan") {
            let cache = sandbox.path(plan["cache_dir"].as_str().unwrap().strip_prefix("$SANDBOX/").unwrap());
            assert!(cache.starts_with(sandbox.path("w/engine-cache")), "{plan}");
            let stat = fs::metadata(&cache).unwrap();
            assert_eq!((stat.uid(), stat.mode() & 0o777), (UID, 0o700));
            assert_eq!(
                plan["env_set"]["HOME"],
                json!(format!("{}/home", plan["cache_dir"].as_str().unwrap()))
            );
            assert_eq!(plan["env_set"]["USER"], format!("uid{UID}"));
            if plan["engine"] != "llama-cpp" {
                // What the first start wrote is still there at the second.
                for kernel in ["triton", "inductor", "vllm", "home/.cache/vllm"] {
                    let text = fs::read_to_string(cache.join(kernel).join("kernel")).unwrap();
                    assert_eq!(text.lines().count(), start, "{kernel} of {plan}");
                }
            }
            folders.push(cache);
        }
        folders.dedup();
        assert_eq!(folders.len(), 3);
        assert_eq!(sandbox.sh(&format!("{random} istop")).exits(0).all("stopped").len(), 3);
    }
    // Another uid on the same volume gets folders of its own.
    let another = format!("setpriv --reuid={} --regid=0 --clear-groups", UID + 1);
    let boot = sandbox.sh(&format!(
        "{another} env AUTO_INFER_RUN_DIR={} AUTO_INFER_LOG_DIR={} bash -euo pipefail -c 'ienv vllm | iplan | ilaunch | iprobe && istop >&2'",
        sandbox.text("run2"),
        sandbox.text("logs2")
    ));
    let boot = boot.exits(0);
    assert!(boot.one("plan")["cache_dir"].as_str().unwrap().ends_with(&format!(".{}", UID + 1)));
}

#[test]
fn what_the_caller_or_the_file_sets_stays_and_models_of_the_hub_are_where_they_were() {
    let mut sandbox = Sandbox::new();
    let toml = "[master]\npython_path = '/usr/bin/python3'\n[instance.a.env]\nVLLM_CACHE_ROOT = '/mine'\n\
        [instance.a.control]\nallow = ['flags_unknown', 'model_not_local', 'port_in_use']\n[instance.a.server]\nmodel = 'org/name'\n";
    let config = sandbox.write("vllm.toml", toml);
    sandbox.set("AUTO_INFER_VLLM_CONFIG", config.to_str().unwrap());
    sandbox.set("TRITON_CACHE_DIR", "/theirs");
    let plan = |sandbox: &Sandbox| sandbox.sh("ienv vllm | iplan").exits(0).one("plan");
    let planned = plan(&sandbox);
    assert_eq!(planned["env_set"]["VLLM_CACHE_ROOT"], "/mine");
    for unset in ["TRITON_CACHE_DIR", "HOME", "USER", "HF_HOME"] {
        assert_eq!(planned["env_set"].get(unset), None, "{planned}");
    }
    fs::create_dir_all(sandbox.path("home/.cache/huggingface")).unwrap();
    let planned = plan(&sandbox);
    assert_eq!(planned["env_set"]["HF_HOME"], "$SANDBOX/home/.cache/huggingface");
    let in_the_way = sandbox.write("file", "");
    sandbox.set("AUTO_INFER_ENGINE_CACHE_DIR", in_the_way.join("cache").to_str().unwrap());
    let output = sandbox.sh("ienv vllm | iplan").exits(0);
    let warning = about_cache(&output);
    assert!(warning["hint"].as_str().unwrap().contains("AUTO_INFER_ENGINE_CACHE_DIR"), "{warning}");
    assert_eq!(output.one("plan").get("cache_dir"), None);
    assert!(!sandbox.path("w/engine-cache").exists(), "a plan leaves no trace");
    if !as_root() {
        return;
    }
    sandbox.unset("AUTO_INFER_ENGINE_CACHE_DIR");
    drop(sandbox.sh("mkdir -p -m 1777 w/engine-cache; chown 1 w/engine-cache").exits(0));
    let output = sandbox.sh("ienv vllm | iplan").exits(0);
    let warning = about_cache(&output);
    assert!(
        warning["what"].as_str().unwrap().contains("belongs to uid 1, who could put another"),
        "{warning}"
    );
    assert_eq!(output.one("plan").get("cache_dir"), None);
}

#[test]
fn a_noexec_mount_is_reported_at_install_and_at_planning() {
    if !as_root() {
        return;
    }
    let mut sandbox = super::sandbox_with_engine(&[free_port()]);
    let at = sandbox.path("noexec");
    let Some(volume) = Mount::tmpfs(&at, "exec") else {
        return not_run("no file system can be mounted here");
    };
    sandbox.set("AUTO_INFER_WORKSPACE_DIR", &sandbox.text("noexec"));
    sandbox.set("AUTO_INFER_LLAMA_CPP_INSTALL_DIR", &sandbox.text("noexec/llama"));
    assert_eq!(sandbox.sh("ienv llama-cpp | iinstall").exits(0).all("installed").len(), 1);
    volume.remount("noexec");
    let failed = sandbox.sh("ienv llama-cpp | iinstall").exits(69).one("failed");
    assert!(failed["cause"].as_str().unwrap().ends_with("is mounted noexec"), "{failed}");
    let failed = sandbox.sh("ienv llama-cpp --steps serve | iinstall | iplan").exits(69).one("failed");
    assert_eq!(
        (failed["by"].as_str(), failed["cause"].as_str()),
        (Some("iplan"), Some("its file system is mounted noexec"))
    );
    assert!(failed["hint"].as_str().unwrap().contains("exec"), "{failed}");
    let toml = "[master]\npython_path = '/usr/bin/python3'\n[instance.a.control]\n\
        allow = ['flags_unknown', 'model_not_local', 'port_in_use']\n[instance.a.server]\nmodel = 'org/name'\n";
    let config = sandbox.write("vllm.toml", toml);
    sandbox.set("AUTO_INFER_VLLM_CONFIG", config.to_str().unwrap());
    let warning = about_cache(&sandbox.sh("ienv vllm | iplan").exits(0));
    assert!(warning["what"].as_str().unwrap().ends_with("is mounted noexec"), "{warning}");
}

/// Words before a command, which then finds /run and /tmp read-only, as `docker run --read-only` has them; tools and sandbox,
/// which lie there, are volumes.
const READ_ONLY: &str = r#"unshare --mount sh -ec '
    tools=$(dirname "$(command -v ienv)"); here=$PWD
    mount -t tmpfs none /mnt; mkdir /mnt/tools /mnt/here; mount --bind "$tools" /mnt/tools; mount --bind "$here" /mnt/here
    mount -t tmpfs none /tmp; mkdir -p "$tools" "$here"; mount --bind /mnt/tools "$tools"; mount --bind /mnt/here "$here"
    mount -o remount,ro /tmp; mount -t tmpfs -o ro none /run; cd "$here"; exec "$@"' sh"#;

#[test]
fn where_only_a_volume_can_be_written_the_run_directory_is_named_and_all_goes_on_there() {
    if !as_root() {
        return;
    }
    let sandbox = super::sandbox_with_engine(&[free_port()]);
    if sandbox.sh(&format!("{READ_ONLY} true")).code != 0 {
        return not_run("no file system can be mounted here");
    }
    let pipe = "ienv llama-cpp | iinstall | iplan | ilaunch | iprobe | ichat Hello";
    let output = sandbox.sh(&format!("{READ_ONLY} env -u AUTO_INFER_RUN_DIR bash -c '{pipe}'")).exits(69);
    let failed = output.all("failed").remove(0);
    let said = format!("{}: {}", failed["what"].as_str().unwrap(), failed["cause"].as_str().unwrap());
    assert!(said.starts_with("cannot make /") && said.ends_with("Read-only file system"), "{failed}");
    assert_eq!(failed["hint"], "set AUTO_INFER_RUN_DIR to a folder that can be made and written");
    let output = sandbox.sh(&format!("{READ_ONLY} bash -euo pipefail -c '{pipe}; istop >&2'")).exits(0);
    assert_eq!(output.all("answer").len(), 1);
}

fn about_cache(output: &Output) -> Value {
    output.all("warning").into_iter().find(|warning| warning["rule"] == "engine_cache").unwrap()
}

/// A file system of its own for a folder, gone again when dropped.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn tmpfs(at: &'a Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("{options},mode=755"), "infer-dev-test"]).arg(at);
        command.status().unwrap().success().then_some(Self(at))
    }

    fn remount(&self, option: &str) {
        let mut command = Command::new("mount");
        assert!(command.args(["-o", &format!("remount,{option}")]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}
