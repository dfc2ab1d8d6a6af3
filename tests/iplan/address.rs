//! How a server is to be asked stands in its plan; one that nobody could ask is refused before it starts.
use super::{good, machine, plan};
use crate::kit::free_port;
use serde_json::json;

#[test]
fn tls_and_a_prefix_stand_in_the_plan() {
    let sandbox = machine();
    let (key, cert) = (sandbox.write("key.pem", ""), sandbox.write("cert.pem", ""));
    let plain = plan(&sandbox, "llama-cpp", &good("a")).exits(0).one("plan");
    assert_eq!((plain.get("scheme"), plain.get("path_prefix"), plain.get("ca_file")), (None, None, None));
    let toml = format!(
        "{}api_prefix = '/llm'\nssl_key_file = '{}'\nssl_cert_file = '{}'\n",
        good("a"),
        key.display(),
        cert.display()
    );
    let planned = plan(&sandbox, "llama-cpp", &toml).exits(0).one("plan");
    assert_eq!((&planned["scheme"], &planned["path_prefix"]), (&json!("https"), &json!("/llm")));
    assert_eq!(planned["ca_file"], "$SANDBOX/cert.pem");
    for (engine, model) in [("vllm", "model"), ("sglang", "model_path")] {
        let toml = format!(
            "[instance.a.server]\n{model} = '$M/folder'\nport = {}\nextra_args = ['--ssl-keyfile={}', '--ssl-certfile', '{}']\n",
            free_port(),
            key.display(),
            cert.display()
        );
        let planned = plan(&sandbox, engine, &toml).exits(0).one("plan");
        assert_eq!((&planned["scheme"], &planned["ca_file"]), (&json!("https"), &json!("$SANDBOX/cert.pem")));
    }
}

#[test]
fn what_nobody_could_reach_is_refused_with_its_place() {
    let sandbox = machine();
    for (engine, lines, place, cause) in [
        ("llama-cpp", "api_prefix = 'llm'\n", ":4:1", "no path of the server would begin with 'llm'"),
        ("llama-cpp", "ssl_key_file = '$M/m.gguf'\n", ":4:1", "without ssl_cert_file it makes no TLS"),
        ("vllm", "uds = '/run/x.sock'\n", ":4:1", "it listens on a socket in the file system"),
        ("vllm", "extra_args = ['--grpc']\n", ":4:15", "it speaks gRPC"),
        ("sglang", "grpc_mode = true\n", ":4:1", "it speaks gRPC"),
    ] {
        let model = match engine {
            "llama-cpp" => "model = '$M/m.gguf'",
            "vllm" => "model = '$M/folder'",
            _ => "model_path = '$M/folder'",
        };
        let toml = format!("[instance.a.server]\n{model}\nport = {}\n{lines}", free_port());
        let failed = plan(&sandbox, engine, &toml).exits(65).one("failed");
        assert_eq!(failed["what"], format!("$SANDBOX/{engine}.toml{place}"), "{lines}");
        assert!(failed["cause"].as_str().unwrap().contains(cause), "{lines}: {failed}");
        assert_eq!(failed["class"], "address");
        let allowed = format!("{toml}[instance.a.control]\nallow = ['address']\n");
        assert_eq!(plan(&sandbox, engine, &allowed).exits(0).all("plan").len(), 1);
    }
    let host = good("a") + "host = '/run/x.sock'\n";
    let failed = plan(&sandbox, "llama-cpp", &host).exits(65).one("failed");
    assert_eq!(
        (&failed["class"], &failed["cause"]),
        (&json!("address"), &json!("a socket in the file system is not supported"))
    );
    let hosts = good("a") + "host = '127.0.0.1,127.0.0.2'\n";
    let failed = plan(&sandbox, "llama-cpp", &hosts).exits(65).one("failed");
    assert!(failed["hint"].as_str().unwrap().starts_with("give one address"), "{failed}");
}
