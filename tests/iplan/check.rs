//! `iplan --check`: TOML files by themselves, as a repository's CI has them.
use crate::kit::{Output, Sandbox, root};
use serde_json::Value;

const WRONG: &str =
    "[instance.a.server]\nmodel = \"/m.gguf\"\nport = 70000\n[instance.a.control]\nresart = \"never\"\n";

/// Nothing is there but the files: no engine, no variable, no folder of the workspace.
fn check(sandbox: &mut Sandbox, words: &str) -> Output {
    sandbox.unset("AUTO_INFER_WORKSPACE_DIR");
    sandbox.unset("AUTO_INFER_RUN_DIR");
    sandbox.sh(&format!("iplan {words} </dev/null"))
}

#[test]
fn what_is_wrong_is_reported_with_line_and_column_in_three_ways() {
    let mut sandbox = Sandbox::new();
    sandbox.write("a b.toml", WRONG);
    let text = check(&mut sandbox, "--check 'a b.toml'").exits(1).stdout;
    assert_eq!(
        text,
        "a b.toml:3:8: server.port is '70000'\n    hint: it is a whole number from 1 to 65535\n\
         a b.toml:5:1: unknown key 'resart' in control\n    hint: did you mean 'restart'?\n"
    );
    let lines = check(&mut sandbox, "--format json --check 'a b.toml'").exits(1).stdout;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["column"]), (&3.into(), &8.into()));
    let sarif: Value =
        serde_json::from_str(&check(&mut sandbox, "--format sarif --check 'a b.toml'").exits(1).stdout)
            .unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"a%20b.toml".into(), &5.into())
    );
}

#[test]
fn what_is_in_order_is_for_any_engine() {
    let mut sandbox = Sandbox::new();
    for (name, toml) in [
        ("llama.toml", "[instance.a.server]\nmodel = \"/m.gguf\"\nport = 18001\n"),
        ("vllm.toml", "[instance.b.server]\nmodel = \"/m\"\nport = 18002\n"),
        ("sglang.toml", "[instance.c.server]\nmodel_path = \"/m\"\nport = 18003\n"),
        ("off.toml", "[master]\nenable = false\n[instance.d.server]\nport = 18003\n"),
    ] {
        sandbox.write(name, toml);
    }
    let good = check(&mut sandbox, "--check llama.toml vllm.toml sglang.toml off.toml").exits(0);
    assert_eq!((good.stdout.as_str(), good.stderr.as_str()), ("", ""));
    let empty = check(&mut sandbox, "--format sarif --check llama.toml").exits(0).stdout;
    let sarif: Value = serde_json::from_str(&empty).unwrap();
    assert_eq!(sarif["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn two_instances_on_one_port_no_toml_and_no_file() {
    let mut sandbox = Sandbox::new();
    let toml = "[instance.a.server]\nport = 18001\n[instance.b.server]\nport = 18001\n\
                [instance.c.server]\nport = 18001\n[instance.c.control]\nenabled = false\n";
    sandbox.write("two.toml", toml);
    let shared = check(&mut sandbox, "--check two.toml").exits(1).stdout;
    assert!(shared.starts_with("two.toml:4:1: b and a both listen on port 18001\n"), "{shared}");
    assert_eq!(shared.lines().count(), 2, "{shared}");
    sandbox.write("no.toml", "[instance\n");
    let none = check(&mut sandbox, "--check no.toml").exits(1).stdout;
    assert!(none.starts_with("no.toml:1:10: "), "{none}");
    let missing = check(&mut sandbox, "--check nowhere.toml").exits(69);
    assert!(missing.stderr.contains("cannot read nowhere.toml"), "{}", missing.stderr);
    drop(check(&mut sandbox, "--format sarif").exits(2));
}

#[test]
fn the_examples_to_start_from_are_in_order_and_have_every_key() {
    let mut sandbox = Sandbox::new();
    let source = |file: &str| std::fs::read_to_string(root().join("shared/config/src").join(file)).unwrap();
    let keys = source("control.rs");
    let (_, keys) = keys.split_once("pub(crate) const KEYS").unwrap();
    let keys: Vec<&str> = keys.split("];").next().unwrap().split('"').skip(1).step_by(2).collect();
    assert!(keys.len() > 20, "{keys:?}");
    for engine in ["llama-cpp", "vllm", "sglang"] {
        let example = sandbox.sh(&format!("ienv --example {engine} | tee example.toml")).exits(0).stdout;
        drop(check(&mut sandbox, "--check example.toml").exits(0));
        let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ");
        let set: String = example
            .lines()
            .map(|line| if is_key(line) { format!("{}\n", &line[1..]) } else { format!("{line}\n") })
            .collect();
        sandbox.write("set.toml", &set);
        let told = check(&mut sandbox, "--check set.toml");
        assert_eq!(told.code, 0, "{engine}, all set: {}", told.stdout);
        for key in &keys {
            assert!(set.contains(&format!("\n{key} = ")), "{engine}: no {key}");
        }
    }
    drop(sandbox.sh("ienv --example bridge").exits(2));
}

#[test]
fn a_name_that_a_terminal_would_obey_stays_on_its_line() {
    let mut sandbox = Sandbox::new();
    sandbox.write("a\u{1b}[31m\nistop: b.toml", WRONG);
    let text = check(&mut sandbox, "--check a*.toml").exits(1).stdout;
    assert!(text.starts_with("a[31m istop: b.toml:3:8: server.port is '70000'\n"), "{text:?}");
}
