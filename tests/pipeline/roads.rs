//! The two roads of vLLM and SGLang, end to end: filled or packed on the connected side, carried, installed with no network,
//! served, asked. The engines are small ones of the tests' own; what installs and runs them is not.
use crate::kit::{Output, Pixi, Sandbox, fixture, free_port, tools};

/// A sandbox with pixi and its like on PATH, and a configuration of one instance.
pub(crate) fn sandbox(engine: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    let no_gpu = crate::kit::root().join("tests/data/no-gpu");
    let folders = [&tools(), &Pixi::get().bin, &no_gpu].map(|folder| folder.display().to_string());
    sandbox.set("PATH", &format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", folders.join(":")));
    sandbox.write("model/config.json", "{}");
    let model = sandbox.text("model");
    let key = if engine == "vllm" { "model" } else { "model_path" };
    let config = format!("[instance.one.server]\n{key} = {model:?}\nport = {}\n", free_port());
    let config = sandbox.write("engine.toml", config);
    sandbox.set(&format!("AUTO_INFER_{}_CONFIG", engine.to_uppercase()), config.to_str().unwrap());
    sandbox
}

/// What has to come out of a pipeline that ends with ichat, and that the server ran from the install.
fn answered(output: &Output, road: &str) {
    let kinds: Vec<String> = output.kinds().into_iter().filter(|kind| kind != "warning").collect();
    let before: &[&str] = if road == "cache" { &["env", "cache"] } else { &["env"] };
    let after = ["installed", "plan", "instance", "ready", "answer"];
    assert_eq!(kinds, [before, &after].concat(), "{}", output.transcript());
    let installed = output.one("installed");
    assert_eq!(installed["checks"]["torch"], "2.9.1+cu128", "{installed}");
    assert_ne!(installed["seal"], "none");
    // What only the installer was told is not what the server gets.
    let variables = installed["activation"]["variables"].as_object().unwrap();
    assert!(
        variables.contains_key("CONDA_PREFIX") && !variables.contains_key("PIP_NO_INDEX"),
        "{variables:?}"
    );
    assert_eq!(installed["activation"]["path"].as_array().unwrap().len(), 1);
    assert_eq!(output.one("plan")["program"], installed["python"]);
    assert!(!output.one("answer")["content"].as_str().unwrap().is_empty());
}

const SERVE: &str = "iplan | ilaunch | iprobe | ichat Hello";

#[test]
fn sglang_from_a_template_and_a_cache_to_an_answer() {
    let mut sandbox = sandbox("sglang");
    for (name, folder) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
        let folder = sandbox.text(folder);
        sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &folder);
    }
    // The connected side. With the server gone the network is.
    drop(fixture::engine("sglang", &sandbox.path("")));
    let recorded = sandbox.sh("ienv sglang | icache --record").exits(0).one("cache");
    assert_eq!((&recorded["gaps"], &recorded["depth"]), (&0.into(), &"deep".into()));

    let output = sandbox.sh(&format!("ienv sglang | icache | iinstall | {SERVE}")).exits(0);
    answered(&output, "cache");
    let again = sandbox.sh(&format!("ienv sglang | icache | iinstall | {SERVE}")).exits(0);
    assert_eq!(again.one("installed")["reused"], true);
    assert_eq!(again.one("instance")["reused"], true);
    assert_eq!(sandbox.sh("istop").exits(0).one("stopped")["orphans"], 0);
}

#[test]
fn vllm_from_a_packed_project_through_parts_to_an_answer() {
    let mut sandbox = sandbox("vllm");
    let channel = fixture::template("vllm", &sandbox.path(""));
    let script = "ipack --template template -o bundle.tar && mkdir media && \
                  isplit --size 8MiB bundle.tar -d media && cp bundle.tar.json media/";
    drop(sandbox.sh(script).exits(0));
    drop(channel);
    drop(sandbox.sh("rm -r bundle.tar bundle.tar.json template w/.cache").exits(0));

    drop(sandbox.sh("ijoin media > w/bundle.tar && cp media/bundle.tar.json w/").exits(0));
    let bundle = sandbox.text("w/bundle.tar");
    sandbox.set("AUTO_INFER_VLLM_BUNDLE_PATH", &bundle);
    let output = sandbox.sh(&format!("ienv vllm | iinstall | {SERVE}")).exits(0);
    answered(&output, "bundle");
    assert!(sandbox.path("w/vllm-pixi-offline/activate.sh").exists());
    drop(sandbox.sh("istop").exits(0));
}
