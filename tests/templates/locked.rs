//! What the templates lock, and how an installed environment is verified.
use super::{template, text};
use crate::kit::{Pixi, Sandbox, fixture};

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
fn verify_says_versions_and_refuses_another_build_of_torch() {
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
