//! The variables of the bridge.
use super::{refused, set, with};
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn the_bridge_takes_the_kept_names() {
    let mut sandbox = with(&[
        ("LITELLM_ON_BOOT", "1"),
        ("LITELLM_CONFIG", "/etc/litellm.yaml"),
        ("LITELLM_PROXY_PORT", "11900"),
        ("LITELLM_BACKEND_BASE", "http://127.0.0.1:8080/v1/"),
        ("LITELLM_BACKEND_MODEL", "glm4"),
        ("LITELLM_MASTER_KEY", "hunter2"),
        ("LITELLM_LOG_FILE", "/var/log/litellm.log"),
        ("LITELLM_PROXY_LOG_FILE", "/var/log/bridge.log"),
        ("LITELLM_USER", "root"),
    ]);
    assert_snapshot!(sandbox.sh("ienv --boot bridge").transcript(), @r#"{"kind":"bridge","listen":"127.0.0.1:11900","mode":"litellm","steps":["serve"],"workspace":"$SANDBOX/w","run_dir":"$SANDBOX/run","log_dir":"$SANDBOX/w/logs","litellm_config":"/etc/litellm.yaml","litellm_listen":"127.0.0.1:8010","litellm_backend_base":"http://127.0.0.1:8080/v1","litellm_backend_model":"glm4","key_variable":"AUTO_INFER_LITELLM_MASTER_KEY","litellm_log":"/var/log/litellm.log","log_file":"/var/log/bridge.log","user":"root","origin":{"key_variable":"variable","listen":"variable","litellm_backend_base":"variable","litellm_backend_model":"variable","litellm_config":"variable","litellm_listen":"default","litellm_log":"variable","log_dir":"default","log_file":"variable","mode":"variable","run_dir":"variable","user":"variable","workspace":"variable"}}"#);
    assert!(!sandbox.sh("ienv --explain bridge; ienv --export bridge").exits(0).stdout.contains("hunter2"));

    set(&mut sandbox, "BRIDGE_LISTEN", "0.0.0.0:11900");
    assert_eq!(sandbox.sh("ienv bridge").exits(0).one("bridge")["listen"], "0.0.0.0:11900");
    set(&mut sandbox, "BRIDGE_LISTEN", "0.0.0.0:11899");
    set(&mut sandbox, "BRIDGE_MODE", "native");
    let output = sandbox.sh("ienv bridge").exits(69);
    assert_eq!(
        refused(&output),
        ["bridge AUTO_INFER_LITELLM_PROXY_PORT", "bridge AUTO_INFER_LITELLM_ON_BOOT"]
    );
}

#[test]
fn the_bridge_stands_alone_with_its_own_names() {
    let sandbox = with(&[
        ("BRIDGE_LISTEN", "[::1]:11899"),
        ("BRIDGE_UPSTREAM", "http://10.0.0.1:8000"),
        ("BRIDGE_KEY_FILE", "/run/secrets/key"),
        ("BRIDGE_MODEL", "glm4"),
    ]);
    let output = sandbox.sh("ienv bridge").exits(0);
    let record = output.one("bridge");
    assert_eq!((&record["mode"], &record["upstream"]), (&json!("auto"), &json!("http://10.0.0.1:8000")));
    assert_eq!(record.get("litellm_listen"), None, "only in its mode");
    assert_eq!(record["origin"]["key_file"], "variable");

    let sandbox = with(&[
        ("BRIDGE_LISTEN", "11899"),
        ("BRIDGE_UPSTREAM", "http://me:hunter2@h"),
        ("BRIDGE_MODE", "proxy"),
        ("LITELLM_PORT", "0"),
    ]);
    let output = sandbox.sh("ienv bridge").exits(69);
    let expected = ["BRIDGE_UPSTREAM", "BRIDGE_LISTEN", "BRIDGE_MODE", "LITELLM_PORT"];
    assert_eq!(refused(&output), expected.map(|name| format!("bridge AUTO_INFER_{name}")));
    assert!(!output.transcript().contains("hunter2"));
}
