//! Every option of every stored version is planned by itself, and what is written for it read back.
use super::{machine, plan};
use crate::kit::{free_port, root, speaking_as};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A value for an option of a dump, as TOML and as its parser is to have it; two for what can be on and off.
fn values(option: &Value) -> Vec<(&'static str, String, Value)> {
    let (action, nargs, kind) =
        (option["action"].as_str().unwrap(), &option["nargs"], option["type"].as_str());
    if *nargs == 0 || action.contains("StoreConst") {
        let off = if action == "BooleanOptionalAction" { json!(false) } else { json!(null) };
        let by_default = option["default"] == true && action != "BooleanOptionalAction";
        let off = (!by_default).then(|| ("off", "false".to_owned(), off));
        return [Some(("on", "true".to_owned(), json!(true))), off].into_iter().flatten().collect();
    }
    if let Some(choices) = option["choices"].as_array() {
        let last = choices.last().unwrap().as_str().unwrap();
        let value = match kind {
            Some("int") => json!(last.parse::<i64>().unwrap()),
            _ => json!(last),
        };
        let many = nargs.as_str().is_some_and(|nargs| nargs != "?");
        return vec![("choice", format!("{last:?}"), if many { json!([value]) } else { value })];
    }
    let (toml, one): (&str, Value) = match kind {
        Some("int" | "human_readable_int" | "human_readable_int_or_auto") => ("-1e3", json!(-1000)),
        Some("float") => ("-0.5", json!(-0.5)),
        Some("loads" | "json_list_type" | "parse_dataclass") => ("{ a = [1, 'x'] }", json!({"a": [1, "x"]})),
        _ => ("'-dash x'", json!("-dash x")),
    };
    let plain = toml.replace("'-dash x'", "'dash'");
    match nargs.as_str() {
        Some("+" | "*") => {
            let one = if one == "-dash x" { json!("dash") } else { one };
            vec![("list", format!("[{plain}, {plain}]"), json!([one, one]))]
        }
        _ if action.contains("Append") => vec![("append", format!("[{toml}, {toml}]"), json!([one, one]))],
        _ => vec![("value", toml.to_owned(), one)],
    }
}

/// By instance: a spelling of the option, and its value; null for none.
type Expected = BTreeMap<String, (String, Value)>;

/// One instance for each value of each option: the TOML, and what the parser is to have.
pub(crate) fn each(options: &[Value], model: &str, folder: &str) -> (String, Expected) {
    let (mut toml, mut expected) = (String::new(), Expected::new());
    let ours = ["--help", "--host", "--port", "--config", &format!("--{model}")].map(str::to_owned);
    for (number, option) in options.iter().enumerate() {
        let spellings: Vec<&str> =
            option["spellings"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        // Secrets go another way, and those of ours stand in every instance.
        let secret = |name: &&str| ["key", "token", "password"].iter().any(|end| name.ends_with(end));
        if spellings.iter().any(|name| ours.contains(&(*name).to_owned()) || secret(name)) {
            continue;
        }
        let key = spellings[0].trim_start_matches('-');
        for (what, value, read) in values(option) {
            let instance = format!("o{number}-{what}");
            writeln!(
                toml,
                "[instance.{instance}.control]\nallow = ['gpu_count', 'address', 'file_missing']\n[instance.{instance}.server]\n\
                 {model} = '{folder}'\nport = {}\n{key} = {value}",
                free_port()
            )
            .unwrap();
            expected.insert(instance, (spellings[0].to_owned(), read));
        }
    }
    (toml, expected)
}

/// Every option of a real engine is planned by itself, and what is written for it parsed by a parser made of the same options.
fn walked(engine: &str, dump: &str, model: &str) {
    let sandbox = machine();
    sandbox.script(
        &format!("w/{engine}-infer/.installs/0123456789ab-0000/env/bin/python"),
        &speaking_as("-c", dump),
    );
    let dump = root().join("tests/data/vocabularies").join(dump);
    let text = sandbox.sh(&format!("gzip -dc {}", dump.display())).stdout;
    let options: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (toml, expected) = each(&options, model, "$M/folder");
    let output = plan(&sandbox, engine, &toml);
    assert!(output.all("failed").is_empty(), "{:#?}", output.all("failed"));
    sandbox.write("plans.jsonl", &output.stdout);
    let readback = root().join("tests/data/readback.py");
    let read =
        sandbox.sh(&format!("python3 {} {} < plans.jsonl", readback.display(), dump.display())).exits(0);
    let read = read.records();
    assert_eq!(read.len(), expected.len());
    let wrong = |record: &&Value| record["value"] != expected[record["instance"].as_str().unwrap()].1;
    let wrong: Vec<String> = read
        .iter()
        .filter(wrong)
        .map(|r| format!("{r} of {:?}", expected[r["instance"].as_str().unwrap()]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_option_of_vllm_is_read_back_as_it_was_meant() {
    for version in ["0.19.1", "0.32.0"] {
        walked("vllm", &format!("vllm-{version}.jsonl.gz"), "model");
    }
}

#[test]
fn every_option_of_sglang_is_read_back_as_it_was_meant() {
    for version in ["0.5.9", "0.5.23"] {
        walked("sglang", &format!("sglang-{version}.jsonl.gz"), "model-path");
    }
}
