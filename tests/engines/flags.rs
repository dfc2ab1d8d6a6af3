//! Every option of the engine that is here, written by iplan and read by the engine's own parser.
use super::on_each;
use crate::iplan::walk::each;
use crate::kit::root;
use serde_json::{Value, json};

#[test]
fn every_option_is_read_by_the_engines_own_parser_as_it_was_meant() {
    on_each("every option, parsed again", |real| {
        let server =
            if real.engine == "vllm" { "vllm.entrypoints.openai.api_server" } else { "sglang.launch_server" };
        let dump = root().join("shared/vocabulary/src/dump.py");
        let ask = format!("\"$PYTHON\" -c \"$(cat {})\" {server} 2>errors", dump.display());
        let options = real.sandbox.sh(&ask).exits(0).records();
        assert!(options.len() > 200, "{} options", options.len());
        let model = if real.engine == "vllm" { "model" } else { "model-path" };
        let (toml, meant) = each(&options, model, &real.sandbox.text("m"));
        real.sandbox.write("engine.toml", toml);
        let plans = real.pipe("").exits(0).all("plan");
        assert_eq!(plans.len(), meant.len());
        let lines = plans.iter().map(|plan| {
            let (option, value) = &meant[plan["instance"].as_str().unwrap()];
            json!({"option": option, "expected": value, "args": &plan["args"].as_array().unwrap()[2..]})
                .to_string()
        });
        real.sandbox.write("plans.jsonl", lines.collect::<Vec<_>>().join("\n"));
        let reader = root().join("tests/engines/reparse.py");
        let read = format!("\"$PYTHON\" {} {server} < plans.jsonl 2>errors", reader.display());
        let read = real.sandbox.sh(&read).exits(0).records();
        assert_eq!(read.len(), meant.len());
        let count = |how: &str| read.iter().filter(|line| line["how"] == how).count();
        println!(
            "{}: {} exact, {} read by a function of the option's own, {} values that it does not take",
            real.engine,
            count("exact"),
            count("own"),
            count("value")
        );
        let wrong: Vec<&Value> = read.iter().filter(|line| line["how"] == "wrong").collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}
