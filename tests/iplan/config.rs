//! The TOML file and its overrides: what is refused, and with which words.
use super::{good, machine, plan, plan_with, words};

#[test]
#[expect(clippy::too_many_lines, reason = "a table of wrong files")]
fn a_file_that_is_wrong_is_refused_with_file_line_column_and_the_nearest_name() {
    let sandbox = machine();
    let server = "[instance.a.server]\nmodel = '$M/m.gguf'\n";
    let mut wrong_by_form = Vec::new();
    for (toml, place, cause, hint) in [
        ("[instance\n", ":1:10", "unclosed table, expected `]`", ""),
        ("[master]\nenable = yes\n", ":2:10", "string values must be quoted, expected literal string", ""),
        ("[a]\nx = 1\nx = 2\n", ":3:1", "duplicate key", ""),
        ("[master]\nenabel = true\n", ":2:1", "unknown key 'enabel' in [master]", "did you mean 'enable'?"),
        ("[maste]\n", ":1:2", "unknown key 'maste' in the file", "did you mean 'master'?"),
        (
            "[master]\nproject_dir = '/x'\n",
            ":2:1",
            "unknown key 'project_dir' in [master]",
            "its keys are enable, llama_cpp_path",
        ),
        (
            "[master]\nenable = 1\n",
            ":2:10",
            "master.enable is a number, not true or false",
            "write it as true",
        ),
        (
            "[master]\nllama_cpp_path = 'x'\n",
            ":2:18",
            "master.llama_cpp_path is not an absolute path",
            "write the whole path, from /",
        ),
        ("[instance.a.contrl]\n", ":1:13", "unknown key 'contrl' in [instance.a]", "did you mean 'control'?"),
        (
            "[instance.control]\nlog_kep = 1\n",
            ":2:1",
            "unknown key 'log_kep' in control",
            "did you mean 'log_keep'?",
        ),
        (
            "[instance]\nb = 1\n",
            ":2:1",
            "instance.b is a number, not a table",
            "an instance is a table: [instance.b.server]",
        ),
        ("[instance.a]\nserver = 1\n", ":2:1", "'server' is a number, not a table", ""),
        (
            "[instance.server.server]\n",
            ":1:18",
            "'server' cannot be the name of an instance",
            "[instance.server] holds defaults for all instances: choose another name",
        ),
        (
            "[instance.'a b'.server]\n",
            ":1:11",
            "'a b' cannot be the name of an instance",
            "a name has up to 64 letters, digits, '_', '.' and '-', and begins with a letter, digit or '_'",
        ),
        (
            "[instance.a.control]\nmax_restarts = '5'\n",
            ":2:16",
            "control.max_restarts is a string, not a number",
            "write it without quotes; it is a whole number from 0 to 1000000",
        ),
        (
            "[instance.a.control]\nlog_keep = -1\n",
            ":2:12",
            "control.log_keep is -1",
            "it is a whole number from 0 to 1000",
        ),
        (
            "[instance.a.control]\nrestart = 'sometimes'\n",
            ":2:11",
            "control.restart is 'sometimes'",
            "it is one of on-failure, always, never",
        ),
        (
            "[instance.a.control]\nliveness = 'pulse'\n",
            ":2:12",
            "control.liveness is 'pulse'",
            "it is one of off, health, answer",
        ),
        (
            "[instance.a.control]\nliveness_failures = 0\n",
            ":2:21",
            "control.liveness_failures is 0",
            "it is a whole number from 1 to 1000",
        ),
        (
            "[instance.a.control]\nready_rung = 'alive'\n",
            ":2:14",
            "control.ready_rung is 'alive'",
            "it is one of answering, correct, listed, healthy",
        ),
        (
            "[instance.a.control]\ngpu_ids = '0;1'\n",
            ":2:11",
            "control.gpu_ids is '0;1'",
            "it is \"all\", \"none\", or ids joined by commas: \"0,1\" or \"GPU-…,GPU-…\"",
        ),
        ("[instance.a.control]\ngpu_ids = '0, 0'\n", ":2:11", "control.gpu_ids names '0' twice", ""),
        (
            "[instance.a.control]\ngpu_ids = [0]\n",
            ":2:11",
            "control.gpu_ids is a list, not a string",
            "write it as \"0\"",
        ),
        (
            "[instance.a.control]\nallow = ['port_in_us']\n",
            ":2:10",
            "control.allow names no rule 'port_in_us'",
            "did you mean 'port_in_use'?",
        ),
        (
            "[instance.a.control]\nlog_dir = 'logs'\n",
            ":2:11",
            "control.log_dir is not an absolute path",
            "write the whole path, from /",
        ),
        (
            "[instance.a.server]\nport = 'http'\n",
            ":2:8",
            "server.port is 'http'",
            "it is a whole number from 1 to 65535",
        ),
        (
            "[instance.a.server]\nport = 70000\n",
            ":2:8",
            "server.port is '70000'",
            "it is a whole number from 1 to 65535",
        ),
        (
            "[instance.a.server]\nport = 0\n",
            ":2:8",
            "server.port is '0'",
            "it is a whole number from 1 to 65535",
        ),
        (
            "[instance.a.server]\nextra_args = '--x'\n",
            ":2:14",
            "server.extra_args is a string, not a list of strings",
            "write it as [\"--x\"]",
        ),
        (
            "[instance.a.server]\nextra_args = ['-c', 512]\n",
            ":2:21",
            "server.extra_args holds a number, not a string",
            "write it in quotes: \"512\"",
        ),
        (
            "[instance.a.control]\nliveness = true\n",
            ":2:12",
            "control.liveness is a boolean, not a string",
            "it is one of off, health, answer",
        ),
        (
            "[instance.a.server]\n'--model' = 'x'\n",
            ":2:1",
            "'--model' cannot be the name of an argument",
            "write it as model_path, without dashes in front",
        ),
        (
            "[instance.a.server]\nctx_size = 1\nctx-size = 2\n",
            ":3:1",
            "'ctx-size' is there twice, spelt differently",
            "",
        ),
        (
            "[instance.a.env]\nX = true\n",
            ":2:5",
            "env.X is a boolean, not a string",
            "write it as a string: X = \"1\"",
        ),
        ("[instance.a.server]\nmodel = \"a\\u0000b\"\n", ":2:9", "server.model holds a zero byte", ""),
        ("", "", "there is no table [instance.NAME.server]", ""),
    ] {
        let toml = if toml.contains("server") || toml.is_empty() {
            toml.to_owned()
        } else {
            format!("{toml}{server}")
        };
        let output = plan(&sandbox, "llama-cpp", &toml).exits(65);
        let what = if place.is_empty() { " defines no instance" } else { place };
        let mut expected = format!("iplan: $SANDBOX/llama-cpp.toml{what}: {cause}\n");
        if !hint.is_empty() {
            expected.push_str(&format!("iplan: hint: {hint}\n"));
        }
        assert_eq!(output.stderr, expected, "{toml}");
        assert_eq!((output.all("plan").len(), output.one("failed")["code"].as_u64()), (0, Some(65)));
        // Of the others no TOML comes, or it is several values that do not go together.
        if !toml.is_empty()
            && !["unclosed", "string values", "duplicate", "twice", "server.model"]
                .iter()
                .any(|it| cause.contains(it))
        {
            wrong_by_form.push(toml);
        }
    }
    assert!(wrong_by_form.len() > 25);
    crate::schema::refuses_all(&sandbox, &wrong_by_form);
}

#[test]
fn all_that_is_wrong_with_a_file_is_said_at_once_and_a_default_only_once() {
    let sandbox = machine();
    let toml =
        "[instance.control]\nlog_keep = 'x'\n[instance.a.server]\n[instance.b.server]\n[instance.c.servr]\n";
    let output = plan(&sandbox, "llama-cpp", toml).exits(65);
    let expected = "iplan: $SANDBOX/llama-cpp.toml:5:13: unknown key 'servr' in [instance.c]\n\
                    iplan: hint: did you mean 'server'?\n";
    assert!(output.stderr.ends_with(expected), "{}", output.stderr);
    assert_eq!(output.all("failed").len(), 2, "{}", output.stderr);
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_named() {
    let mut sandbox = machine();
    let output = sandbox.sh("ienv llama-cpp | iplan").exits(69);
    assert_eq!(
        output.stderr,
        "iplan: cannot read $SANDBOX/llama-cpp.toml: No such file or directory\n\
         iplan: hint: AUTO_INFER_LLAMA_CPP_CONFIG names it\n"
    );
    sandbox.write("llama-cpp.toml", b"a = 'x'\nb = '\xff'\n");
    let output = sandbox.sh("ienv llama-cpp | iplan").exits(65);
    assert_eq!(output.stderr, "iplan: $SANDBOX/llama-cpp.toml:2:6: not UTF-8\n");
    sandbox.unset("AUTO_INFER_LLAMA_CPP_CONFIG");
    let output = sandbox.sh("ienv llama-cpp | iplan").exits(69);
    assert_eq!(
        output.stderr,
        "iplan: cannot plan llama-cpp: AUTO_INFER_LLAMA_CPP_CONFIG is not set\n\
         iplan: hint: set AUTO_INFER_LLAMA_CPP_CONFIG to the TOML file, or leave llama-cpp out: ienv ENGINE\n"
    );
}

#[test]
fn unknown_keys_are_warnings_when_the_operator_is_lenient() {
    let mut sandbox = machine();
    let toml = format!("[master]\nenable_all = true\n{}", good("a"));
    let strict = plan(&sandbox, "llama-cpp", &toml).exits(65);
    assert_eq!(strict.all("plan").len(), 0);
    let lenient = plan_with(&sandbox, "llama-cpp", &toml, "--lenient").exits(0);
    assert_eq!(lenient.one("warning")["rule"], "unknown_key");
    assert_eq!(
        lenient.one("warning")["what"],
        "$SANDBOX/llama-cpp.toml:2:1: unknown key 'enable_all' in [master]"
    );
    sandbox.set("AUTO_INFER_LENIENT_CONFIG", "Yes");
    assert_eq!(plan(&sandbox, "llama-cpp", &toml).exits(0).all("plan").len(), 1);
    let bad =
        sandbox.sh("ienv llama-cpp > env.jsonl; AUTO_INFER_LENIENT_CONFIG=maybe iplan < env.jsonl").exits(69);
    assert_eq!(
        bad.stderr,
        "iplan: cannot use AUTO_INFER_LENIENT_CONFIG: 'maybe' is not a boolean\n\
         iplan: hint: set it to 1, true, yes or on, or to 0, false, no or off\n"
    );
}

#[test]
fn overrides_are_merged_before_the_defaults_and_bad_ones_name_their_variable() {
    let mut sandbox = machine();
    let toml = "[instance.server]\nhost = '0.0.0.0'\nextra_args = ['--verbose', '--props']\n".to_owned()
        + &good("a")
        + &good("b");
    sandbox.set(
        "AUTO_INFER_LLAMA_CPP_OVERRIDES",
        r#"{"instance":{"b":null,"server":{"host":null,"extra_args":["--metrics"]},"a":{"server":{"alias":"x","port":1}}}}"#,
    );
    let toml = toml
        .replace("[instance.a.server]", "[instance.a.control]\nallow = ['port_in_use']\n[instance.a.server]");
    let planned = plan(&sandbox, "llama-cpp", &toml);
    let planned = planned.one("plan");
    assert_eq!(
        words(&planned),
        "--model $SANDBOX/models/m.gguf --port 1 --alias x --host 127.0.0.1 --metrics"
    );
    sandbox.set("AUTO_INFER_LLAMA_CPP_OVERRIDES", r#"{"instance":{"a":{"control":{"log_kep":1}}}}"#);
    let output = plan(&sandbox, "llama-cpp", &toml).exits(69);
    assert_eq!(
        output.stderr,
        "iplan: AUTO_INFER_LLAMA_CPP_OVERRIDES: unknown key 'log_kep' in control\niplan: hint: did you mean 'log_keep'?\n"
    );
}
