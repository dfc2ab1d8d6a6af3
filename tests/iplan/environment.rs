//! What a server gets from the environment, and what it must not get.
use super::{good, machine, plan, plan_with, words};
use crate::kit::free_port;
use serde_json::{Value, json};

#[test]
fn extra_args_that_repeat_an_argument_are_a_warning() {
    let sandbox = machine();
    let toml = good("a") + "ctx_size = 5\nextra_args = ['-c', '9', '--slots']\n";
    let output = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!(
        output.stderr,
        "iplan: warning: extra_args of a repeats --ctx-size, which [server] sets already\n\
         iplan: hint: the engine sees both; set it in one place\n"
    );
    let allowed = toml + "[instance.a.control]\nallow = ['extra_args_repeat']\n";
    assert_eq!(plan(&sandbox, "llama-cpp", &allowed).exits(0).stderr, "");
}

#[test]
fn what_servers_do_not_inherit_is_said_in_one_warning() {
    let mut sandbox = machine();
    for name in ["LLAMA_ARG_PORT", "LLAMA_API_KEY", "AIP_MODE", "https_proxy", "HTTP_PROXY", "VLLM_API_KEY"] {
        sandbox.set(name, "hunter2");
    }
    // What a server gets all the same, with the value that it has here, is not lost.
    sandbox.set("LLAMA_ARG_OFFLINE", "1");
    let toml = good("a") + &good("b") + "[instance.env]\nHTTP_PROXY = 'http://own'\n";
    let output = plan(&sandbox, "llama-cpp", &toml).exits(0);
    assert_eq!(
        output.one("warning")["what"],
        "servers do not get these variables: AIP_MODE, LLAMA_API_KEY, LLAMA_ARG_PORT, VLLM_API_KEY, https_proxy"
    );
    let dropped: Vec<Value> = output.all("plan")[0]["env_dropped"].as_array().unwrap().clone();
    assert!(
        dropped.contains(&json!("AUTO_INFER_RUN_DIR")) && !dropped.contains(&json!("HTTP_PROXY")),
        "{dropped:?}"
    );
    assert!(!output.transcript().contains("hunter2"));
}

#[test]
fn offline_false_sets_no_offline_variable() {
    let sandbox = machine();
    let toml = good("a") + "[instance.a.control]\noffline = false\n";
    assert_eq!(
        plan(&sandbox, "llama-cpp", &toml).exits(0).one("plan")["env_set"],
        json!({"PYTHONUNBUFFERED": "1"})
    );
}

#[test]
fn secrets_never_leave_the_file() {
    let mut sandbox = machine();
    let config = sandbox.write("own.yaml", "tp-size: 1\n");
    let toml = format!(
        "[instance.env]\nHF_TOKEN = 'hunter2a'\n[instance.a.server]\nmodel_path = '$M/folder'\nport = {}\n\
         api_key = 'hunter2b'\nconfig = '{}'\ndefault_chat_template_kwargs = {{ draft_token = 'hunter2c' }}\n\
         extra_args = ['--admin-api-key', 'hunter2d', '--enable-metrics', '--ssl-keyfile-password=hunter2e']\n",
        free_port(),
        config.display()
    );
    sandbox.set("AUTO_INFER_SGLANG_OVERRIDES", r#"{"instance":{"a":{"env":{"MY_SECRET":"hunter2f"}}}}"#);
    for options in ["", "-vv", "--table"] {
        let output = plan_with(&sandbox, "sglang", &toml, options).exits(0);
        assert!(!output.transcript().contains("hunter2"), "{}", output.transcript());
    }
    let planned = plan(&sandbox, "sglang", &toml).one("plan");
    let expected = [
        "server.api_key",
        "server.default_chat_template_kwargs",
        "extra_args.--admin-api-key",
        "extra_args.--ssl-keyfile-password",
        "env.HF_TOKEN",
        "env.MY_SECRET",
    ];
    assert_eq!(planned["secrets"], json!(expected));
    let words = words(&planned);
    assert!(
        words.contains("--config $SANDBOX/run/sglang/a/config.yaml") && words.ends_with("--enable-metrics"),
        "{words}"
    );
    let broken = toml.replace("port =", "port ==");
    let output = plan(&sandbox, "sglang", &broken).exits(65);
    assert!(!output.transcript().contains("hunter2"), "{}", output.transcript());
    let llama = good("a") + "my_secret = 'hunter2'\n";
    let output = plan(&sandbox, "llama-cpp", &llama).exits(65);
    assert!(!output.transcript().contains("hunter2"), "{}", output.transcript());
    assert!(
        output.stderr.ends_with("server.my_secret: this llama-server has no such flag\n"),
        "{}",
        output.stderr
    );
}
