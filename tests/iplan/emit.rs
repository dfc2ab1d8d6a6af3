//! `iplan --emit`: plans as files of other keepers, each judged by that keeper's own checker.
use super::machine;
use crate::kit::{Output, Sandbox, clients};
use serde_json::Value;

const KEY: &str = "0c0ffee0-and-no-more";

/// Two instances of llama.cpp, one of them with what is hard to write, and one of SGLang, whose key is in a file.
fn emitted(keeper: &str) -> (Sandbox, Output) {
    let sandbox = machine();
    let llama = format!(
        "[instance.plain.server]\nmodel = \"$M/m.gguf\"\nport = 18081\n\
         [instance.hard.server]\nmodel = \"$M/m.gguf\"\nport = 18082\napi_key = \"{KEY}\"\nalias = '50% of $HOME \"x\" \\y $(id)'\n\
         [instance.hard.env]\nNOTE = \"two words, 100% $HOME\"\n"
    );
    let sglang = format!(
        "[instance.big.server]\nmodel_path = \"$M/folder\"\nport = 18083\napi_key = \"{KEY}\"\n\
         [instance.big.control]\ngpu_ids = \"2,3\"\n"
    );
    for (engine, toml) in [("llama-cpp", llama), ("sglang", sglang)] {
        sandbox.write(&format!("{engine}.toml"), toml.replace("$M", &sandbox.text("models")));
    }
    std::fs::create_dir(sandbox.path("out")).unwrap();
    let said = sandbox.sh(&format!("ienv llama-cpp sglang | iplan --emit {keeper} --into out"));
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{}", said.stderr);
    assert_eq!(sandbox.sh(&format!("grep -r {KEY} out")).code, 1, "no secret is in what is written");
    (sandbox, said)
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    sandbox.sh("ls out").exits(0).stdout.lines().map(str::to_owned).collect()
}

/// The words that a program got, of a line that `sh` or systemd reads.
fn json(sandbox: &Sandbox, script: &str) -> Value {
    let output = sandbox.sh(script).exits(0);
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
}

#[test]
fn systemd_takes_the_units() {
    let (sandbox, _) = emitted("systemd");
    let units = [
        "infer-dev-llama-cpp-hard.service",
        "infer-dev-llama-cpp-plain.service",
        "infer-dev-sglang-big.service",
    ];
    assert_eq!(names(&sandbox), units);
    let verified = sandbox.sh("systemd-analyze verify --man=no out/*.service 2>&1").exits(0).stdout;
    let ours = |line: &&str| line.contains("infer-dev-");
    assert_eq!(verified.lines().filter(ours).collect::<Vec<_>>(), [""; 0], "what systemd has against them");
    let hard = sandbox.read("out/infer-dev-llama-cpp-hard.service");
    assert!(hard.contains("\nEnvironmentFile=/etc/infer-dev/infer-dev-llama-cpp-hard.env\n"), "{hard}");
    assert!(hard.contains(r#" "50%% of $HOME \"x\" \\y $(id)""#), "{hard}");
    assert!(hard.contains(r#"Environment="NOTE=two words, 100%% $HOME""#), "{hard}");
    let big = sandbox.read("out/infer-dev-sglang-big.service");
    assert!(big.contains(" --config %d/config.yaml"), "{big}");
    assert!(big.contains("\nLoadCredential=config.yaml:/etc/infer-dev/infer-dev-sglang-big.yaml\n"), "{big}");
    // A unit that is wrong is told, so that the silence above means something.
    sandbox.write("out/wrong.service", hard.replace("ExecStart=:", "ExecStart=:/nowhere"));
    assert_ne!(sandbox.sh("systemd-analyze verify --man=no out/wrong.service").code, 0);
}

#[test]
fn podmans_generator_takes_the_quadlets() {
    let Some(generator) = clients("quadlet") else { return };
    let (sandbox, _) = emitted("quadlet");
    let script = format!(
        "QUADLET_UNIT_DIRS=$PWD/out {} -dryrun -no-kmsg-log 2>&1",
        generator.join("quadlet").display()
    );
    let made = sandbox.sh(&script).exits(0).stdout;
    for word in [
        "--entrypoint=",
        "--network host",
        "--secret infer-dev-llama-cpp-hard.LLAMA_API_KEY,type=env,target=LLAMA_API_KEY",
        "nvidia.com/gpu=2",
        "nvidia.com/gpu=3",
        "--secret infer-dev-sglang-big.yaml,type=mount",
    ] {
        assert!(made.contains(word), "{word}\n{made}");
    }
    assert_eq!(made.matches("ExecStart=").count(), 3, "{made}");
    sandbox.write("out/wrong.container", "[Container]\nNoSuchKey=1\n");
    assert_ne!(sandbox.sh(&script).code, 0, "it refuses what is wrong");
}

#[test]
fn compose_reads_the_words_as_they_were() {
    let (sandbox, _) = emitted("compose");
    assert_eq!(names(&sandbox), ["compose.yml"]);
    let asked = "INFER_DEV_LLAMA_CPP_HARD_LLAMA_API_KEY";
    let missing = sandbox.sh("docker-compose -f out/compose.yml config");
    assert!(missing.code != 0 && missing.stderr.contains(asked), "{}", missing.stderr);
    sandbox.write("out/infer-dev-sglang-big.yaml", "api-key: x\n");
    let config =
        sandbox.sh(&format!("{asked}=given docker-compose -f out/compose.yml config")).exits(0).stdout;
    sandbox.write("config.yml", &config);
    let read =
        "python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(open(\"config.yml\")), sys.stdout)'";
    let services = json(&sandbox, read);
    let hard = &services["services"]["infer-dev-llama-cpp-hard"];
    // What docker-compose prints is a file of Compose's again, with dollar signs doubled.
    let words: Vec<String> = hard["command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap().replace("$$", "$"))
        .collect();
    assert!(words.contains(&"50% of $HOME \"x\" \\y $(id)".to_owned()), "{words:?}");
    assert_eq!(hard["environment"]["LLAMA_API_KEY"], "given");
    let big = &services["services"]["infer-dev-sglang-big"];
    let devices = &big["deploy"]["resources"]["reservations"]["devices"][0];
    assert_eq!(devices["device_ids"], serde_json::json!(["2", "3"]));
    assert!(big["environment"].get("CUDA_VISIBLE_DEVICES").is_none());
}

#[test]
fn kubernetes_takes_the_pods() {
    let Some(validate) = clients("kubernetes") else { return };
    let (sandbox, _) = emitted("kube");
    assert_eq!(names(&sandbox), ["pods.yml"]);
    let script = format!("{}/bin/kubernetes-validate --strict out/pods.yml 2>&1", validate.display());
    let said = sandbox.sh(&script).exits(0).stdout;
    assert_eq!(said.matches(" passed ").count(), 3, "{said}");
    let pods = sandbox.read("out/pods.yml");
    for word in
        ["secretKeyRef:", "key: LLAMA_API_KEY", "nvidia.com/gpu: '2'", "subPath: infer-dev-sglang-big.yaml"]
    {
        assert!(pods.contains(word), "{word}\n{pods}");
    }
    assert!(pods.contains(r#"50% of $HOME "x" \y $$(id)"#), "{pods}");
}

#[test]
fn a_plan_that_fails_is_not_written_and_a_wrong_folder_is_named() {
    let sandbox = machine();
    let toml = "[instance.good.server]\nmodel = \"$M/m.gguf\"\nport = 18084\n[instance.bad.server]\nmodel = \"/nowhere.gguf\"\nport = 18085\n";
    sandbox.write("llama-cpp.toml", toml.replace("$M", &sandbox.text("models")));
    let said = sandbox.sh("ienv llama-cpp | iplan --emit systemd");
    assert_ne!(said.code, 0);
    assert!(
        said.stdout.contains("Description=llama-cpp good") && !said.stdout.contains("bad"),
        "{}",
        said.stdout
    );
    sandbox.write(
        "llama-cpp.toml",
        toml.split("[instance.bad").next().unwrap().replace("$M", &sandbox.text("models")),
    );
    let nowhere = sandbox.sh("ienv llama-cpp | iplan --emit kube --into nowhere").exits(69);
    assert!(nowhere.stderr.contains("cannot open the folder nowhere"), "{}", nowhere.stderr);
    drop(sandbox.sh("iplan --emit init </dev/null").exits(2));
}
