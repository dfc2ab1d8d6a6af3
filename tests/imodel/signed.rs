//! imodel --key: what a publisher has signed, held against the reference implementation, PyPI's model-signing.
use super::{Gguf, folders};
use crate::kit::{Sandbox, clients, root};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// What model-signing says of each request: signed, verified, or refused.
fn reference(requests: &[Value]) -> Option<Vec<String>> {
    let python = clients("models")?.join("bin/python");
    let mut child = Command::new(python)
        .arg(root().join("tests/data/signing.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answers: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), requests.len(), "{answers:?}");
    Some(answers)
}

/// A request about a folder in the sandbox, with the signature in it.
fn request(sandbox: &Sandbox, what: &str, key: &str, model: &str, signature: &str) -> Value {
    json!([what, sandbox.text(key), sandbox.text(model), sandbox.text(signature)])
}

/// A model folder, keys of two publishers, and the folder signed by the first one; `None` where there is no reference.
fn signed() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    folders::write_to(&sandbox, "m");
    sandbox.write("m/sub/extra.json", "{}");
    sandbox.write("m/.hidden/extra", "x");
    sandbox.write("m/.gitattributes", "x");
    for (name, curve) in [("one", "prime256v1"), ("two", "prime256v1"), ("three", "secp384r1")] {
        let make = format!(
            "openssl ecparam -name {curve} -genkey -noout -out {name}.pem; openssl ec -in {name}.pem -pubout -out {name}.pub"
        );
        drop(sandbox.sh(&make).exits(0));
    }
    let answers = reference(&[request(&sandbox, "sign", "one.pem", "m", "m/model.sig")])?;
    assert_eq!(answers, ["signed"]);
    Some(sandbox)
}

fn problems(sandbox: &Sandbox, command: &str, code: i32) -> Vec<String> {
    let model = sandbox.sh(command).exits(code).one("model");
    model["problems"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What is done to a copy of the signed folder, and what is said of it.
const CHANGES: [(&str, &str); 17] = [
    // The last byte is a tensor's: no header says anything of it.
    (
        "printf X | dd of=model-00002-of-00002.safetensors bs=1 seek=$(($(stat -c %s model-00002-of-00002.safetensors) - 1)) conv=notrunc status=none",
        "model-00002-of-00002.safetensors: its sha256 is",
    ),
    ("echo '{}' > added.json", "added.json: it is here, and was not signed"),
    ("echo x > .hidden/added", ".hidden/added: it is here, and was not signed"),
    ("mkdir -p a/b/c/d/e/f/g/h/i/j; echo x > a/b/c/d/e/f/g/h/i/j/k", "i/j/k: it is here, and was not signed"),
    ("mv sub/extra.json sub/other.json", "sub/extra.json: it was signed, and is not here"),
    ("rm .hidden/extra", ".hidden/extra: it was signed, and is not here"),
    ("rm tokenizer.json; mkdir tokenizer.json", "tokenizer.json: it was signed, and is not here"),
    ("ln -s nowhere added.json", "added.json: No such file"),
    ("mkfifo added", "added: it is no file"),
    ("rm model.sig", "model.sig: it is not signed"),
    ("echo '{' > model.sig", "model.sig: it is damaged"),
    ("sed -i 's/bundle.v0.3/bundle.v0.9/' model.sig", "model.sig: it is of the kind"),
    ("sed -i 's/in-toto+json/in-toto+jsom/' model.sig", "model.sig: it signs 'application/vnd.in-toto+jsom'"),
    (
        "sed -i 's/\"payload\":\"ewog/\"payload\":\"ewoh/' model.sig",
        "its signature does not fit what it signs",
    ),
    (
        // However long the signature is: what follows its length is no number any more.
        "sed -i 's/\"sig\":\"ME./\"sig\":\"MEX/' model.sig",
        "its signature does not fit what it signs",
    ),
    ("sed -i 's/\"signatures\":\\[.*\\]/\"signatures\":[]/' model.sig", "it has 0 signatures"),
    ("sed -i 's/\"hint\":\"./\"hint\":\"x/' model.sig", "it was signed with another key"),
];

#[test]
fn what_the_reference_refuses_is_refused_and_what_it_verifies_is_whole() {
    let Some(sandbox) = signed() else { return };
    assert_eq!(problems(&sandbox, "imodel --key one.pub m", 0), [""; 0]);
    let mut requests = vec![request(&sandbox, "verify", "one.pub", "m", "m/model.sig")];
    for (at, (change, what)) in CHANGES.iter().enumerate() {
        drop(sandbox.sh(&format!("cp -r m {at}; cd {at}; {change}")).exits(0));
        let told = problems(&sandbox, &format!("imodel --key one.pub {at}"), 1);
        assert!(told.iter().any(|problem| problem.contains(what)), "{change}: {told:?}");
        requests.push(request(&sandbox, "verify", "one.pub", &at.to_string(), &format!("{at}/model.sig")));
    }
    requests.push(request(&sandbox, "verify", "two.pub", "m", "m/model.sig"));
    assert!(problems(&sandbox, "imodel --key two.pub m", 1)[0].contains("signed with another key"));
    let answers = reference(&requests).unwrap();
    assert_eq!(answers[0], "verified");
    for (answer, (change, _)) in answers[1..].iter().zip(CHANGES.iter().chain([&("another key", "")])) {
        assert!(answer.starts_with("refused"), "{change}: {answer}");
    }
}

#[test]
fn one_of_several_keys_is_enough_and_all_of_them_have_to_be_keys() {
    let Some(sandbox) = signed() else { return };
    drop(sandbox.sh("imodel --key two.pub --key one.pub m").exits(0));
    let output = sandbox.sh("imodel --key one.pem m").exits(65);
    assert!(output.stderr.contains("-----BEGIN PUBLIC KEY-----"), "{}", output.stderr);
    drop(sandbox.sh("imodel --key none.pub m").exits(69));
    drop(
        sandbox
            .sh("openssl genpkey -algorithm ed25519 | openssl pkey -pubout > ed.pub; imodel --key ed.pub m")
            .exits(65),
    );
    // Another curve, and a key of other line ends.
    reference(&[request(&sandbox, "sign", "three.pem", "m", "m/model.sig")]).unwrap();
    drop(sandbox.sh("sed 's/$/\\r/' three.pub > dos.pub; imodel --key dos.pub m").exits(0));
}

#[test]
fn what_the_hubs_tools_and_imodel_leave_beside_a_model_need_not_be_signed() {
    let Some(sandbox) = signed() else { return };
    sandbox.write("m/.cache/huggingface/download/x.metadata", "x");
    drop(sandbox.sh("imodel --record --key one.pub m").exits(0));
    let model = sandbox.sh("imodel --verify --key one.pub m").exits(0).one("model");
    assert_eq!(model["signature"], "$SANDBOX/m/model.sig");
    assert_eq!(model["manifest"], "$SANDBOX/m/infer-dev-manifest.json");
    // Links to files are followed, as the hub's cache has them.
    drop(sandbox.sh("mkdir blobs; mv m/tokenizer.json blobs/x; ln -s ../blobs/x m/tokenizer.json").exits(0));
    drop(sandbox.sh("imodel --key one.pub m").exits(0));
    sandbox.write("blobs/x", "[]");
    assert!(problems(&sandbox, "imodel --key one.pub m", 1)[0].starts_with("tokenizer.json: its sha256 is"));
}

#[test]
fn a_file_is_signed_by_itself_or_with_its_folder() {
    let Some(sandbox) = signed() else { return };
    for (name, part) in Gguf::tiny().split(2) {
        sandbox.write(&format!("g/q4/{name}"), part.bytes());
        sandbox.write(&format!("g/q8/{name}"), part.bytes());
    }
    sandbox.write("f/m.gguf", Gguf::tiny().bytes());
    let requests = [
        request(&sandbox, "sign", "one.pem", "g", "g/model.sig"),
        request(&sandbox, "sign", "one.pem", "f/m.gguf", "f/m.gguf.sig"),
        request(&sandbox, "verify", "one.pub", "f/m.gguf", "f/m.gguf.sig"),
    ];
    assert_eq!(reference(&requests).unwrap(), ["signed", "signed", "verified"]);
    let first = "g/q4/m-00001-of-00002.gguf";
    drop(sandbox.sh(&format!("imodel --key one.pub f/m.gguf {first}; rm -r g/q8; echo x > g/q4/x; imodel --key one.pub {first}")).exits(0));
    drop(
        sandbox
            .sh("printf X | dd of=g/q4/m-00002-of-00002.gguf bs=1 seek=1500000 conv=notrunc status=none")
            .exits(0),
    );
    assert!(
        problems(&sandbox, &format!("imodel --key one.pub {first}"), 1)[0]
            .starts_with("m-00002-of-00002.gguf: its sha256")
    );
    drop(sandbox.sh("cd f; mv m.gguf n.gguf; imodel --key ../one.pub n.gguf").exits(1));
    drop(sandbox.sh("cd f; mv m.gguf.sig n.gguf.sig; imodel --key ../one.pub n.gguf").exits(0));
    drop(sandbox.sh("printf X >> f/n.gguf; imodel --key one.pub f/n.gguf").exits(1));
}

#[test]
fn an_instance_whose_model_is_not_signed_is_not_started() {
    let Some(sandbox) = signed() else { return };
    let args = ["--tokenizer", &sandbox.text("m")];
    let plan = super::filter::plan(&sandbox, "vllm", "m", &args);
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    let output = sandbox.sh("imodel --key one.pub < plan.jsonl").exits(0);
    let roles: Vec<Value> = output.all("model").iter().map(|model| model["role"].clone()).collect();
    assert_eq!(roles, ["model", "tokenizer"]);
    let failed = sandbox.sh("imodel --key two.pub < plan.jsonl").exits(1).all("failed");
    assert!(failed.iter().all(|failed| failed["class"] == "model_signature"), "{failed:?}");
    assert_eq!(failed.len(), 2);
}
