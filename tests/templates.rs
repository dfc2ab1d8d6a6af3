//! The pixi templates: what they lock, and the smoke test that they bring, on an engine that does what a test says.
use crate::kit::{Output, Pixi, Sandbox, alive, fixture, free_port, root, send, wait_for};
use rustix::process::Signal;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn template(engine: &str) -> PathBuf {
    root().join("scripts/templates").join(engine)
}

fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join("scripts/templates").join(path)).unwrap()
}

/// A python that is the engine when a server is asked for, with a worker beside it, and python3 otherwise.
const PYTHON: &str = r#"#!/bin/sh
case $1-$2 in
-m-sglang.launch_server | -m-vllm.entrypoints.openai.api_server) ;;
--http*)
    # Nobody asks before the worker is there, however little patience there is.
    until [ -s "$ROOT/worker" ] || [ -e "$ROOT/dies" ]; do sleep 0.01; done
    exec python3 "$@"
    ;;
*) exec python3 "$@" ;;
esac
echo "$@" >"$ROOT/argv"
env >"$ROOT/env"
if [ -e "$ROOT/dies" ]; then
    echo 'out of memory'
    exit 0
fi
sleep 1000 &
echo $! >"$ROOT/worker"
exec python3 "$ENGINE" "$PORT" "$ROOT"
"#;

/// A machine with such a python, a model, and a port for `VAR_PORT`.
fn machine(variable: &str) -> (Sandbox, u16) {
    let mut sandbox = Sandbox::new();
    sandbox.set("PIXI_PROJECT_ROOT", &template(&variable.to_lowercase()).display().to_string());
    sandbox.script("bin/python", PYTHON);
    sandbox.write("model/config.json", "{}");
    let port = free_port();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", sandbox.text("bin"));
    for (name, value) in [
        ("PATH".to_owned(), path),
        ("ROOT".to_owned(), sandbox.text("")),
        ("ENGINE".to_owned(), root().join("tests/data/engine.py").display().to_string()),
        ("PORT".to_owned(), port.to_string()),
        ("HTTP_PROXY".to_owned(), "http://127.0.0.1:1".to_owned()),
        ("http_proxy".to_owned(), "http://127.0.0.1:1".to_owned()),
        (format!("{variable}_MODEL_DIR"), sandbox.text("model")),
        (format!("{variable}_PORT"), port.to_string()),
    ] {
        sandbox.set(&name, &value);
    }
    sandbox.write("chat", said(r#""content":" Paris.""#));
    (sandbox, port)
}

/// An answer with such a message.
fn said(message: &str) -> String {
    format!("200\n{{\"choices\":[{{\"index\":0,\"message\":{{{message}}}}}]}}")
}

fn smoke(sandbox: &Sandbox, engine: &str, arguments: &[&str]) -> Output {
    let script = template(engine).join("scripts/smoke.sh");
    sandbox.finish(sandbox.command(script).args(arguments))
}

fn worker(sandbox: &Sandbox) -> u32 {
    sandbox.read("worker").trim().parse().unwrap()
}

#[test]
fn smoke_serves_a_model_once_and_leaves_nothing_running() {
    for (engine, variable, module, gpus) in [
        ("sglang", "SGLANG", "sglang.launch_server --model-path", "--tp-size"),
        ("vllm", "VLLM", "vllm.entrypoints.openai.api_server --model", "--tensor-parallel-size"),
    ] {
        let (mut sandbox, port) = machine(variable);
        sandbox.set(&format!("{variable}_TP_SIZE"), "2");
        sandbox.write("healthy", "");
        let output = smoke(&sandbox, engine, &["--max-x", "5"]).exits(0);
        assert_eq!(output.stdout, " Paris.\n");
        assert!(output.stderr.contains("smoke.sh: answered after "), "{}", output.stderr);
        assert!(output.stderr.contains("up\n"), "what the server says\n{}", output.stderr);
        let expected = format!(
            "-m {module} {} --served-model-name smoke --host 127.0.0.1 --port {port} {gpus} 2 --max-x 5\n",
            sandbox.text("model")
        );
        assert_eq!(sandbox.read("argv"), expected);
        let env = sandbox.read("env");
        assert!(env.contains("HF_HUB_OFFLINE=1\n") && !env.contains(&format!("\n{variable}_PORT=")), "{env}");
        assert!(!alive(worker(&sandbox)));
        // The port, still warm from connections that are over, may be had again.
        drop(smoke(&sandbox, engine, &[]).exits(0));
    }
}

#[test]
fn smoke_says_why_a_model_is_not_served() {
    let (sandbox, _) = machine("SGLANG");
    sandbox.write("dies", "");
    let output = smoke(&sandbox, "sglang", &[]).exits(1);
    let expected = "out of memory\nsmoke.sh: the server ended with 0 before it had answered\n";
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", expected));

    let (mut sandbox, _) = machine("SGLANG");
    sandbox.set("SGLANG_TIMEOUT_S", "1");
    let output = smoke(&sandbox, "sglang", &[]).exits(75);
    assert!(output.stderr.contains("smoke.sh: the server is not healthy after "), "{}", output.stderr);
    assert!(!alive(worker(&sandbox)));

    let (sandbox, _) = machine("VLLM");
    sandbox.write("healthy", "");
    sandbox.write("chat", "500\nno template");
    let output = smoke(&sandbox, "vllm", &[]).exits(1);
    assert!(output.stderr.contains("/v1/chat/completions: 500 no template\n"), "{}", output.stderr);
    let last = "smoke.sh: the server is healthy and does not answer\n";
    assert!(output.stderr.contains(last), "{}", output.stderr);
    assert!(!alive(worker(&sandbox)));
    sandbox.write("chat", "200\n{}");
    let output = smoke(&sandbox, "vllm", &[]).exits(1);
    assert!(output.stderr.contains("smoke.sh: the server answers what is no completion: {}\n"));
    for silence in [r#""content":" \n""#, r#""content":null"#, ""] {
        sandbox.write("chat", said(silence));
        let output = smoke(&sandbox, "vllm", &[]).exits(1);
        assert_eq!(output.stdout, "");
        assert!(
            output.stderr.contains("smoke.sh: the server answers without a word: {"),
            "{}",
            output.stderr
        );
    }
    sandbox.write("chat", said(r#""content":null,"reasoning_content":"Hm.""#));
    assert_eq!(smoke(&sandbox, "vllm", &[]).exits(0).stdout, "Hm.\n");
}

#[test]
fn smoke_refuses_what_it_cannot_use_before_anything_starts() {
    let (mut sandbox, port) = machine("SGLANG");
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let taken = smoke(&sandbox, "sglang", &[]).exits(75);
    let expected = format!("smoke.sh: port {port}: [Errno 98] Address already in use\n");
    assert_eq!(taken.stderr, expected);
    drop(held);
    for (name, value, expected) in [
        ("SGLANG_PORT", "70000", "SGLANG_PORT is '70000': not a number from 1 to 65535"),
        ("SGLANG_TP_SIZE", "0", "SGLANG_TP_SIZE is '0': not a number from 1 to 1024"),
        ("SGLANG_MODEL_DIR", "nowhere", "SGLANG_MODEL_DIR is 'nowhere': no config.json in it"),
        ("SGLANG_MODEL_DIR", "", "SGLANG_MODEL_DIR is not set: the folder of a model"),
    ] {
        sandbox.set(name, value);
        assert_eq!(smoke(&sandbox, "sglang", &[]).exits(69).stderr, format!("smoke.sh: {expected}\n"));
        assert!(!sandbox.path("argv").exists());
        if name != "SGLANG_MODEL_DIR" {
            sandbox.unset(name);
        }
    }
}

#[test]
fn smoke_asks_a_question_of_the_chat_endpoint() {
    let (sandbox, _) = machine("SGLANG");
    sandbox.write("healthy", "");
    std::fs::remove_file(sandbox.path("chat")).unwrap();
    let output = smoke(&sandbox, "sglang", &[]).exits(0);
    // What the stand-in says of a chat; of a completion it knows nothing.
    assert_eq!(output.stdout, "H\n");
    assert!(output.stderr.contains(r#""messages": [{"role": "user", "content""#), "{}", output.stderr);
}

#[test]
fn names_of_older_templates_are_taken_or_warned_of() {
    let (mut sandbox, _) = machine("SGLANG");
    sandbox.write("healthy", "");
    for (name, value) in
        [("SGLANG_TP_SIZE_CU128", "4"), ("SGLANG_RUN_MODE", "prod"), ("SGLANG_TP_SIZE_CU126", "8")]
    {
        sandbox.set(name, value);
    }
    let output = smoke(&sandbox, "sglang", &[]).exits(0);
    assert!(sandbox.read("argv").ends_with(" --tp-size 4\n"), "{}", sandbox.read("argv"));
    assert!(!sandbox.read("env").contains("SGLANG_TP_SIZE_CU128"));
    for name in ["SGLANG_RUN_MODE", "SGLANG_TP_SIZE_CU126"] {
        let warning = format!("smoke.sh: warning: {name} is not read");
        assert!(output.stderr.contains(&warning), "{}", output.stderr);
    }
    sandbox.set("SGLANG_TP_SIZE", "2");
    let output = smoke(&sandbox, "sglang", &[]).exits(0);
    assert!(sandbox.read("argv").ends_with(" --tp-size 2\n") && !output.stderr.contains("CU128"));
    sandbox.unset("SGLANG_TP_SIZE");
    sandbox.set("SGLANG_TP_SIZE_CU128", "many");
    let refused = smoke(&sandbox, "sglang", &[]).exits(69);
    assert!(refused.stderr.ends_with("SGLANG_TP_SIZE_CU128 is 'many': not a number from 1 to 1024\n"));
}

#[test]
fn smoke_that_is_told_to_end_ends_the_server() {
    let (sandbox, _) = machine("SGLANG");
    let mut command = sandbox.command(template("sglang").join("scripts/smoke.sh"));
    let mut smoke = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the worker", LIMIT, || {
        std::fs::read_to_string(sandbox.path("worker")).is_ok_and(|id| id.ends_with('\n'))
    });
    send(smoke.id(), Signal::TERM);
    assert_eq!(smoke.wait().unwrap().code(), Some(143));
    assert!(!alive(worker(&sandbox)));
}

#[test]
fn the_templates_differ_in_nothing_but_their_engine() {
    assert_eq!(text("sglang/scripts/verify.py"), text("vllm/scripts/verify.py"));
    let common = |engine: &str| {
        let script = text(format!("{engine}/scripts/smoke.sh"));
        script.split_once("# From here on the same for all engines.\n").unwrap().1.to_owned()
    };
    assert_eq!(common("sglang"), common("vllm"));
}

/// The `name = "==version"` lines of a table of a manifest.
fn pins(manifest: &str, table: &str) -> Vec<(String, String)> {
    let (_, rest) = manifest.split_once(&format!("[{table}]\n")).unwrap();
    let lines = rest.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once(" = \"=="))
        .map(|(name, version)| (name.to_owned(), version.trim_end_matches('"').to_owned()))
        .collect()
}

#[test]
fn the_lock_of_sglang_holds_what_its_manifest_pins() {
    let (manifest, lock) = (text("sglang/pixi.toml"), text("sglang/pixi.lock"));
    let wheels = pins(&manifest, "feature.cu128.pypi-dependencies");
    let names: Vec<&str> = wheels.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["torch", "torchvision", "torchaudio", "sglang"]);
    for (name, version) in wheels {
        let file = format!("/{name}-{}-", version.replace('+', "%2B"));
        let found = lock.lines().filter(|line| line.starts_with("- pypi: ") && line.contains(&file));
        assert_eq!(found.count(), 1, "{file}");
    }
    for package in ["/cuda-version-12.6-", "/cuda-runtime-12.6.", "/python-3.12."] {
        assert!(lock.contains(package), "{package}");
    }
    for index in ["index-url = ", "extra-index-urls = ["] {
        let (_, url) = manifest.split_once(index).unwrap();
        let url = url.split('"').nth(1).unwrap();
        assert!(lock.contains(&format!("\n    - {url}\n")), "{url}");
    }
    assert!(!template("vllm").join("pixi.lock").exists(), "then its README is wrong");
}

/// torch as verify.py sees it.
const TORCH: &str = "class version:
    cuda = '12.8'
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 2)
";

/// torch and sglang, in `site`.
fn packages(sandbox: &Sandbox) {
    for (name, code) in [("torch", TORCH), ("sglang", "")] {
        sandbox.write(&format!("site/{name}.py"), code);
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n");
        sandbox.write(&format!("site/{name}-1.2.dist-info/METADATA"), metadata);
    }
}

#[test]
fn verify_tells_versions_and_refuses_another_build_of_torch() {
    let mut sandbox = Sandbox::new();
    sandbox.set("PYTHONPATH", &sandbox.text("site"));
    packages(&sandbox);
    let verify = |arguments: &str| {
        let script = template("sglang").join("scripts/verify.py");
        sandbox.sh(&format!("python3 {} {arguments}", script.display()))
    };
    assert_eq!(verify("12.8 torch sglang").exits(0).stdout, "torch 1.2\nsglang 1.2\nCUDA 12.8, 2 GPUs\n");
    let other = verify("13.0 torch sglang").exits(1);
    assert_eq!(other.stderr, "verify.py: torch is built for CUDA 12.8, not 13.0\n");
    sandbox.write("site/sglang.py", "import nowhere_to_be_found\n");
    let broken = verify("12.8 torch sglang").exits(1);
    let expected =
        "verify.py: sglang cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'\n";
    assert_eq!(broken.stderr, expected);
    drop(verify("12.8").exits(2));
}

#[test]
fn the_tasks_run_in_an_environment_of_pixis() {
    let mut sandbox = Sandbox::new();
    fixture::tiny(&sandbox.path(""));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", Pixi::get().bin.display());
    for (name, value) in [
        ("PATH", path),
        ("PIXI_CACHE_DIR", sandbox.text("cache/conda/rattler")),
        ("PIXI_CACHE_PYPI_WHEELS_DIR", sandbox.text("cache/pypi/uv")),
        ("PIXI_OFFLINE", "1".to_owned()),
        ("PYTHONPATH", sandbox.text("site")),
    ] {
        sandbox.set(name, &value);
    }
    packages(&sandbox);
    let manifest = sandbox.read("template/pixi.toml");
    let ours = text("sglang/pixi.toml");
    let tasks = ours.split_once("[tasks]\n").unwrap().1.split("\n[").next().unwrap();
    let (head, _) = manifest.split_once("[tasks]").unwrap_or((&manifest, ""));
    sandbox.write("template/pixi.toml", format!("{head}\n[tasks]\n{tasks}"));
    let scripts = template("sglang").join("scripts");
    drop(sandbox.sh(&format!("cp -r {} template/", scripts.display())).exits(0));
    let run =
        |task: &str| sandbox.sh(&format!("pixi run --frozen --manifest-path template/pixi.toml {task}"));
    let told = "torch 1.2\nsglang 1.2\nCUDA 12.8, 2 GPUs\n";
    assert!(run("verify").exits(0).stdout.ends_with(told));
    let expected = "smoke.sh: SGLANG_MODEL_DIR is not set: the folder of a model\n";
    assert!(run("smoke").exits(69).stderr.ends_with(expected));
    // By itself, from anywhere, it is run in that environment, which nothing is fetched for.
    let alone = sandbox.sh("cd / && bash -x $OLDPWD/template/scripts/smoke.sh --max-x 5").exits(69);
    assert!(alone.stderr.contains(expected), "{}", alone.stderr);
    let again = "exec pixi run --as-is --manifest-path";
    assert!(alone.stderr.contains(again) && alone.stderr.contains("smoke.sh --max-x 5"), "{}", alone.stderr);
}
