//! The JSON Schemas of `ienv --schema`: what they take and refuse is what the tools take, refuse and write.
mod records;

use crate::kit::{Output, Sandbox, clients, root, tools};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ENGINES: [&str; 3] = ["llama-cpp", "vllm", "sglang"];

/// The readers of schemas, and the schemas beside what is tested.
pub(crate) struct Schemas {
    bin: PathBuf,
}

impl Schemas {
    /// `None` where the readers cannot be got; that is said.
    pub(crate) fn get(sandbox: &Sandbox) -> Option<Self> {
        let bin = clients("schema")?.join("bin");
        for name in ENGINES.iter().chain(&["records"]) {
            drop(sandbox.sh(&format!("ienv --schema {name} >{name}.json")).exits(0));
        }
        Some(Self { bin })
    }

    /// What the schema of this name has against these files, or against the records of standard input.
    pub(crate) fn against(&self, sandbox: &Sandbox, schema: &str, words: &str) -> BTreeSet<String> {
        let python = self.bin.join("python").display().to_string();
        let script = root().join("tests/data/schema.py");
        let told =
            sandbox.sh(&format!("{python} {} {schema}.json {words}", script.display())).exits(0).stdout;
        told.lines().map(str::to_owned).collect()
    }

    fn taplo(&self, sandbox: &Sandbox, words: &str) -> Output {
        sandbox.sh(&format!("{} lint --no-auto-config {words}", self.bin.join("taplo").display()))
    }
}

/// Comments that are keys, set.
fn all_set(example: &str) -> String {
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ");
    example
        .lines()
        .map(|line| if is_key(line) { format!("{}\n", &line[1..]) } else { format!("{line}\n") })
        .collect()
}

#[test]
fn every_example_is_taken() {
    let sandbox = Sandbox::new();
    let Some(schemas) = Schemas::get(&sandbox) else { return };
    let page = std::fs::read_to_string(root().join("man/infer-dev.5")).unwrap();
    let literal = page.split(".Bd -literal -offset indent\n").nth(1).unwrap().split(".Ed").next().unwrap();
    sandbox.write("page.toml", literal);
    let configs = root().join("scripts/model-configs");
    for engine in ENGINES {
        let example = sandbox.sh(&format!("ienv --example {engine} | tee example.toml")).exits(0).stdout;
        sandbox.write("set.toml", all_set(&example));
        let mut files = vec!["example.toml".to_owned(), "set.toml".to_owned()];
        for file in std::fs::read_dir(&configs).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let of = ["vllm", "sglang"].into_iter().find(|of| name.starts_with(of)).unwrap_or("llama-cpp");
            files.extend((of == engine).then(|| configs.join(name).display().to_string()));
        }
        files.extend((engine == "sglang").then(|| "page.toml".to_owned()));
        assert!(files.len() > 2, "{files:?}");
        assert_eq!(schemas.against(&sandbox, engine, &files.join(" ")), BTreeSet::new(), "{engine}");
        let schema = format!("--schema file://{}", sandbox.text(&format!("{engine}.json")));
        drop(schemas.taplo(&sandbox, &format!("{schema} {}", files.join(" "))).exits(0));
    }
}

/// Values of every type, below, in and above every limit, and words that some key knows.
const VALUES: [&str; 33] = [
    "\"\"",
    "\"x\"",
    "\"rel/x\"",
    "\"/abs\"",
    "\"a\\u0000b\"",
    "\"all\"",
    "\"none\"",
    "\"0, 1\"",
    "\"0;1\"",
    "\"all,0\"",
    "\"GPU-1a2b\"",
    "\"on-failure\"",
    "\"always\"",
    "\"correct\"",
    "\"alive\"",
    "\"off\"",
    "\"repeat\"",
    "0",
    "1",
    "-1",
    "1000",
    "1001",
    "65536",
    "99999999",
    "1.5",
    "true",
    "false",
    "[]",
    "[\"x\"]",
    "[\"port_in_use\"]",
    "[1]",
    "{}",
    "{ a = 1 }",
];

/// Files with names that there may be and names that there may not.
fn odd_names() -> Vec<String> {
    let mut files = Vec::new();
    for name in ["a b", "-a", ".a", "é", "", "9", "_x", "a.b-c", &"a".repeat(64), &"a".repeat(65)] {
        files.push(format!("[instance.\"{name}\".server]\nport = 1\n"));
        files.push(format!("[instance.a.server]\n\"{name}\" = 1\n"));
        files.push(format!("[instance.a.env]\n\"{name}\" = 1\n"));
    }
    for more in [
        "[instance.server.server]\n",
        "[instance.env.server]\n",
        "[instance.control.server]\n",
        "[instance.a.other]\n",
    ] {
        files.push(format!("{more}x = 1\n"));
    }
    files.push("[instance.a.env]\n\"A=B\" = 1\n".to_owned());
    files
}

/// Files that differ in one value each, and what else has to stand in them for that value to be judged alone.
fn one_value_each(engine: &str) -> Vec<String> {
    let source = std::fs::read_to_string(root().join("shared/config/src/control.rs")).unwrap();
    let (_, keys) = source.split_once("pub(crate) const KEYS").unwrap();
    let keys = keys.split("];").next().unwrap().split('"').skip(1).step_by(2).map(str::to_owned);
    let mut files = Vec::new();
    for key in keys.chain(["no_such_key".to_owned()]) {
        for value in VALUES {
            let beside = if key == "ready_rung" { "known_answer = \"/a\"\n" } else { "" };
            files.push(format!("[instance.a.control]\n{key} = {value}\n{beside}"));
            files.push(format!(
                "[instance.control]\n{key} = {value}\n{beside}[instance.a.server]\nport = 1\n"
            ));
        }
    }
    let master = match engine {
        "llama-cpp" => vec!["enable", "llama_cpp_path"],
        "vllm" => vec![
            "enable",
            "project_dir",
            "pixi_project_dir",
            "pixi_environment",
            "python_path",
            "api_server_module",
        ],
        _ => vec!["enable", "python_path", "server_module"],
    };
    for value in VALUES {
        let keys = master.iter().chain(&["no_such_key"]);
        files.extend(keys.map(|key| format!("[master]\n{key} = {value}\n[instance.a.server]\nport = 1\n")));
        for key in ["port", "host", "extra_args", "extra-args", "ctx_size"] {
            // What no command line can hold is refused in whatever depth: that no schema says.
            if key != "ctx_size" || !value.contains("u0000") {
                files.push(format!("[instance.a.server]\n{key} = {value}\n"));
                files.push(format!("[instance.server]\n{key} = {value}\n[instance.a.control]\n"));
            }
        }
        files.push(format!("[instance.a.env]\nX = {value}\n"));
        for table in [
            "instance",
            "instance.a",
            "instance.a.server",
            "instance.a.env",
            "instance.server",
            "master",
            "a",
        ] {
            let (above, last) = table.rsplit_once('.').map_or(("", table), |(above, last)| (above, last));
            let heading = if above.is_empty() { String::new() } else { format!("[{above}]\n") };
            files.push(format!("{heading}{last} = {value}\n"));
        }
    }
    files.extend(odd_names());
    files
}

/// The files that `iplan --check` has something against.
fn refused_by_iplan(sandbox: &Sandbox) -> BTreeSet<String> {
    let told = sandbox.sh("iplan --format json --check *.toml </dev/null");
    assert!(told.code <= 1, "{}", told.stderr);
    let file = |record: &Value| record["file"].as_str().unwrap().to_owned();
    told.records().iter().map(file).collect()
}

#[test]
fn what_iplan_refuses_of_one_value_the_schema_refuses_and_nothing_else() {
    for engine in ENGINES {
        let sandbox = Sandbox::new();
        let Some(schemas) = Schemas::get(&sandbox) else { return };
        let files = one_value_each(engine);
        for (at, text) in files.iter().enumerate() {
            sandbox.write(&format!("f{at}.toml"), text);
        }
        let refused = refused_by_iplan(&sandbox);
        assert!(refused.len() > files.len() / 3 && refused.len() < files.len() * 9 / 10, "{}", refused.len());
        let told = schemas.against(&sandbox, engine, "*.toml");
        let causes = |name: &String| told.iter().find(|line| line.starts_with(&format!("{name}\t"))).cloned();
        let by_schema: BTreeSet<String> =
            told.iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        let differ: Vec<_> = refused
            .symmetric_difference(&by_schema)
            .map(|name| (sandbox.read(name), refused.contains(name), causes(name)))
            .collect();
        assert!(
            differ.is_empty(),
            "{engine}: {} files, whether iplan refuses, what the schema says: {differ:#?}",
            differ.len()
        );
    }
}

/// Of files that a test has seen refused: the schema of llama.cpp refuses all of them.
pub(crate) fn refuses_all(sandbox: &Sandbox, files: &[String]) {
    let Some(schemas) = Schemas::get(sandbox) else { return };
    let names: Vec<String> = (0..files.len()).map(|at| format!("refused{at}.toml")).collect();
    for (name, text) in names.iter().zip(files) {
        sandbox.write(name, text);
    }
    let told = schemas.against(sandbox, "llama-cpp", &names.join(" "));
    for (name, text) in names.iter().zip(files) {
        assert!(told.iter().any(|line| line.starts_with(&format!("{name}\t"))), "the schema takes {text}");
    }
}

#[test]
fn an_installed_suite_names_the_schema_in_its_example_for_an_editor() {
    let sandbox = Sandbox::new();
    let Some(schemas) = Schemas::get(&sandbox) else { return };
    let install = root().join("scripts/install").display().to_string();
    drop(sandbox.sh(&format!("{install} --tools {} usr", tools().display())).exits(0));
    for engine in ENGINES {
        let installed = sandbox.path(&format!("usr/share/infer-dev/schema/{engine}.json"));
        assert_eq!(read(&installed), sandbox.read(&format!("{engine}.json")), "{engine}");
        let example =
            sandbox.sh(&format!("usr/bin/ienv --example {engine} | tee {engine}.toml")).exits(0).stdout;
        let first = example.lines().next().unwrap();
        assert_eq!(first, format!("#:schema $SANDBOX/usr/share/infer-dev/schema/{engine}.json"));
        drop(schemas.taplo(&sandbox, &format!("{engine}.toml")).exits(0));
        drop(sandbox.sh(&format!("iplan --check {engine}.toml </dev/null")).exits(0));
        let wrong = example.replace("#restart = \"on-failure\"", "restart = \"sometimes\"");
        sandbox.write("wrong.toml", wrong.replace("$SANDBOX", &sandbox.text("")));
        let told = schemas.taplo(&sandbox, "wrong.toml").exits(1);
        assert!(told.stderr.contains("\"sometimes\" is not one of"), "{}", told.transcript());
    }
    assert!(sandbox.path("usr/share/infer-dev/schema/records.json").is_file());
    drop(sandbox.sh("ienv --schema bridge").exits(2));
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
