//! What a tool says to somebody who uses it for the first time and gets something wrong: what is wrong, and what to do.
mod folders;

use crate::kit::{Output, Sandbox, free_port};
use crate::pipeline::sandbox_with_engine;

/// The last failure's two lines on stderr, without the tool's name.
fn said(output: &Output) -> (String, String) {
    let lines: Vec<&str> = output.stderr.lines().collect();
    let hint = lines.last().and_then(|line| line.split_once(": hint: ")).map_or("", |(_, hint)| hint);
    let what = lines.iter().rev().find(|line| !line.contains(": hint: ")).copied().unwrap_or_default();
    (what.to_owned(), hint.to_owned())
}

/// Assert what one failing command says, and its hint.
#[track_caller]
fn says(output: Output, code: i32, what: &str, hint: &str) {
    let output = output.exits(code);
    let (said, hinted) = said(&output);
    assert!(said.contains(what), "'{what}' is not said\n{}", output.transcript());
    assert!(hinted.contains(hint), "'{hint}' is no hint\n{}", output.transcript());
    assert_eq!(hint.is_empty(), hinted.is_empty(), "{}", output.transcript());
}

/// Assert what iplan says of a TOML file with `server` and `control` of one instance.
#[track_caller]
fn plan_says(server: &str, control: &str, code: i32, what: &str, hint: &str) {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    let model = sandbox.write("model.gguf", "GGUF");
    let program = sandbox.script("server", "#!/bin/sh\n");
    let config = format!(
        "[master]\nllama_cpp_path = {program:?}\n[instance.a.control]\nallow = ['flags_unknown']\n{control}\n\
         [instance.a.server]\nmodel = {model:?}\n{server}\n"
    );
    let config = sandbox.write("c.toml", config);
    sandbox.set("AUTO_INFER_LLAMA_CPP_CONFIG", config.to_str().unwrap());
    says(sandbox.sh("ienv llama-cpp | iplan"), code, what, hint);
}

#[test]
fn hosts_that_cannot_be_listened_on_are_named_with_what_to_set() {
    let port = format!("port = {}", free_port());
    for (host, code, what, hint) in [
        (
            "'203.0.113.7'",
            69,
            "cannot listen on 203.0.113.7:",
            "no interface of this machine has it; set server.host",
        ),
        (
            "'no-such-host.invalid'",
            69,
            "host 'no-such-host.invalid' is not known",
            "set server.host to an address",
        ),
        ("'127.0.0.1,127.0.0.2'", 65, "several addresses are not supported", "give one address"),
        ("['127.0.0.1', '127.0.0.2']", 65, "server.host is a list", "give one address"),
        (
            "'/run/llama.sock'",
            65,
            "a socket in the file system is not supported",
            "set server.host to an address",
        ),
    ] {
        plan_says(&format!("{port}\nhost = {host}"), "", code, what, hint);
    }
}

#[test]
fn a_host_has_a_class_of_its_own() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let config = sandbox.read("llama.toml").replace("port", "host = '203.0.113.7'\nport");
    sandbox.write("llama.toml", config);
    assert_eq!(sandbox.sh("ienv llama-cpp | iinstall | iplan").exits(69).one("failed")["class"], "address");
}

#[test]
fn values_of_the_wrong_type_are_shown_as_they_are_to_be_written() {
    for (server, control, what, hint) in [
        (
            "port = '8080'",
            "",
            "server.port is '8080'",
            "write it without quotes; it is a whole number from 1 to 65535",
        ),
        ("", "gpu_ids = [0, 1]", "control.gpu_ids is a list, not a string", "write it as \"0,1\""),
        ("", "gpu_ids = 0", "control.gpu_ids is a number, not a string", "write it as \"0\""),
        ("", "log_keep = '3'", "control.log_keep is a string, not a number", "write it without quotes"),
        ("", "background = 'yes'", "control.background is a string, not true or false", "write it as true"),
        ("", "offline = 0", "control.offline is a number, not true or false", "write it as false"),
    ] {
        plan_says(server, control, 65, what, hint);
    }
}

#[test]
fn a_pipeline_that_lacks_a_stage_gets_a_hint_with_the_whole_one() {
    let sandbox = Sandbox::new();
    for (tool, pipeline) in [
        ("iplan", "ienv llama-cpp | iinstall | iplan"),
        ("imodel", "ienv llama-cpp | iinstall | iplan | imodel"),
        ("ilaunch", "ienv llama-cpp | iinstall | iplan | imodel | ilaunch"),
        ("iprobe", "ienv llama-cpp | iinstall | iplan | imodel | ilaunch | iprobe"),
        ("icache", "ienv sglang | icache"),
        ("iwarm", "ienv sglang | iwarm"),
        ("iinstall", "ienv llama-cpp | iinstall"),
    ] {
        let terminal = sandbox.sh(&format!("script -qec {tool} /dev/null </dev/null")).exits(2);
        let hint = format!("hint: pipe records in, as in: {pipeline}\r\n");
        assert!(terminal.stdout.contains(&hint), "{}", terminal.stdout);
        let hint = format!("the whole pipeline is: {pipeline}");
        says(sandbox.sh(&format!("{tool} </dev/null")), 65, "record on standard input", &hint);
    }
    let whole = "ienv llama-cpp | iinstall | iplan | imodel | ilaunch | iprobe | ichat";
    says(sandbox.sh("ienv llama-cpp | ichat"), 65, "no 'ready' record", whole);
}

#[test]
fn what_is_no_record_is_refused_without_the_names_of_types() {
    let sandbox = Sandbox::new();
    let hint = "pipe in what a tool of infer-dev writes, as it is";
    for (line, what) in [
        ("hello", "it is not JSON, from column 1 on"),
        ("5", "it is JSON, but not an object"),
        ("{}", "it has no 'kind'"),
        (r#"{"kind":"env"}"#, "missing field `engine` in a record of kind 'env'"),
    ] {
        says(sandbox.sh(&format!("echo '{line}' | iplan")), 65, what, hint);
    }
}

#[test]
fn an_empty_prompt_is_refused_before_anybody_is_asked() {
    let sandbox = Sandbox::new();
    for prompt in ["''", "' '"] {
        let url = sandbox.sh(&format!("ichat --url http://127.0.0.1:9 {prompt}"));
        says(url, 2, "no prompt: the argument is empty", "give some words");
        says(sandbox.sh(&format!("ichat {prompt} </dev/null")), 2, "no prompt", "give some words");
    }
}

#[test]
fn only_a_lack_of_permission_hints_at_another_user() {
    let sandbox = Sandbox::new();
    sandbox.write("plain", "");
    says(sandbox.sh("iprobe --state plain --once"), 69, "Not a directory", "");
    sandbox.write("run/llama-cpp/a/status.json", "{");
    let output = sandbox.sh("istat");
    assert!(output.code != 0 && !output.stderr.contains("as root"), "{}", output.transcript());
}

#[test]
fn values_that_mean_nothing_here_are_refused_before_anything_starts() {
    plan_says(
        "",
        "log_file = '/tmp'",
        69,
        "cannot write log file /tmp: Is a directory",
        "it is a folder: name a file in it",
    );
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    let pipeline = "ienv llama-cpp | iinstall | iplan";
    let toml = sandbox.read("llama.toml");
    let model = toml.lines().find(|line| line.starts_with("model")).unwrap().to_owned();
    sandbox.write("llama.toml", toml.replace(&model, "model = ''"));
    let refused = sandbox.sh(pipeline).exits(65);
    assert_eq!(refused.one("failed")["class"], "model_unset");
    assert!(refused.stderr.contains("server.model is empty"), "{}", refused.transcript());
    sandbox.write("llama.toml", toml.replace(&model, "model = '~/x.gguf'"));
    let warned = sandbox.sh(pipeline);
    assert!(
        warned.stderr.contains("'~' is not expanded here; write the whole path"),
        "{}",
        warned.transcript()
    );
    sandbox.write("llama.toml", format!("{toml}[instance.tiny0.control]\nlog_dir = '/proc'\n"));
    let hint = "set log_dir or AUTO_INFER_LOG_DIR to another";
    says(sandbox.sh(&format!("{pipeline} | ilaunch")), 69, "cannot open the log /proc/", hint);
    sandbox.write("llama.toml", &toml);
    sandbox.write("plain", "");
    sandbox.set("AUTO_INFER_LOG_DIR", &sandbox.text("plain"));
    says(sandbox.sh(pipeline), 69, "Not a directory", "set log_dir or AUTO_INFER_LOG_DIR to a folder");
    sandbox.write("llama.toml", format!("[master]\nllama_cpp_path = '/nowhere'\n{toml}"));
    says(
        sandbox.sh(pipeline),
        69,
        "llama.toml:2:18: master.llama_cpp_path: cannot run /nowhere",
        "correct it",
    );
    sandbox.set("AUTO_INFER_LLAMA_CPP_OVERRIDES", "{\"bogus\":1}");
    says(sandbox.sh(pipeline), 69, "AUTO_INFER_LLAMA_CPP_OVERRIDES: unknown key 'bogus'", "its keys are");
    let said = sandbox.sh(pipeline).stderr;
    assert!(!said.contains("in the file"), "{said}");
}

#[test]
fn a_keeper_that_is_started_by_hand_says_who_starts_it() {
    let sandbox = Sandbox::new();
    for (order, what) in [
        ("", "it is empty"),
        ("hello", "it is not JSON, from line 1 column 1 on"),
        ("[1]", "it is JSON, but not an object"),
        ("{}", "it has no 'plan'"),
        (r#"{"plan":[]}"#, "its 'plan' is not an object"),
    ] {
        says(sandbox.sh(&format!("echo '{order}' | ikeep")), 65, what, "it is written for ilaunch");
    }
    let terminal = sandbox.sh("script -qec ikeep /dev/null </dev/null").exits(2);
    assert!(terminal.stdout.contains("it is written for ilaunch"), "{}", terminal.stdout);
}

#[test]
fn a_url_that_is_none_or_where_nobody_answers_has_a_hint() {
    let sandbox = Sandbox::new();
    for (url, code, what) in [
        ("localhost:8080", 2, "cannot use the URL 'localhost:8080'"),
        ("ftp://x", 2, "does not begin with http://"),
    ] {
        says(sandbox.sh(&format!("ichat --url {url} Hello")), code, what, "write it as http://HOST:PORT");
    }
    let output = sandbox.sh(&format!("ichat --url http://127.0.0.1:{} Hello", free_port()));
    assert!(output.code != 0, "{}", output.transcript());
    let code = output.code;
    says(output, code, "http://127.0.0.1:", "istat --table shows where ours listen");
}

#[test]
fn an_empty_archive_has_a_hint() {
    let mut sandbox = sandbox_with_engine(&[free_port()]);
    let empty = sandbox.write("empty.tar.gz", "");
    sandbox.set("AUTO_INFER_LLAMA_CPP_PKG_PATH", empty.to_str().unwrap());
    says(sandbox.sh("ienv llama-cpp | iinstall"), 65, "the file is empty", "copy it again");
}
