//! Descriptions of packages, read by rattler and by us: what it takes is no damage, in whatever form channels have it.
use crate::kit::{Pixi, Sandbox, root};
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use store::Entry;

/// What nobody but rattler looks at.
const FIELDS: [&str; 14] = [
    "arch",
    "build_number",
    "constrains",
    "depends",
    "features",
    "license",
    "license_family",
    "noarch",
    "platform",
    "purls",
    "python_site_packages_path",
    "run_exports",
    "timestamp",
    "track_features",
];

/// What has been seen in one field or another, and what has not.
fn values() -> Vec<Value> {
    let long: u64 = 1_700_000_000_000;
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1_700_000_000),
        json!(long),
        json!(1.7e12),
        json!(""),
        json!("0"),
        json!("generic"),
        json!("python"),
        json!("GENERIC"),
        json!("one two"),
        json!([]),
        json!(["one >=1,<2 *_x", "two"]),
        json!(["pkg:pypi/one"]),
        json!(["one", null]),
        json!([1]),
        json!({}),
        json!({"weak": ["one"]}),
    ]
}

/// One that rattler takes, but for one field; and that field's name and value.
fn descriptions() -> Vec<(String, Value)> {
    let plain = json!({
        "name": "one", "version": "1.0", "build": "h1_0", "build_number": 0, "subdir": "linux-64",
        "depends": [], "license": "MIT", "noarch": "generic", "timestamp": 1_700_000_000_000_u64, "track_features": "",
    });
    let mut found = vec![(String::new(), plain.clone())];
    for field in FIELDS.into_iter().chain(["name", "version", "build", "subdir"]) {
        let mut without = plain.clone();
        without.as_object_mut().unwrap().remove(field);
        found.push((format!("{field}: absent"), without));
        for value in values() {
            let mut with = plain.clone();
            with[field] = value.clone();
            found.push((format!("{field}: {value}"), with));
        }
    }
    found
}

#[test]
fn a_description_that_rattler_takes_is_taken_and_one_of_other_types_is_not() {
    let (sandbox, descriptions) = (Sandbox::new(), descriptions());
    let lines: String = descriptions.iter().map(|(_, description)| format!("{description}\n")).collect();
    sandbox.write("descriptions", lines);
    let mut command = sandbox.command(Pixi::get().python());
    command.arg("-IB").arg(root().join("tests/standin/described.py"));
    command.stdin(Stdio::from(fs::File::open(sandbox.path("descriptions")).unwrap()));
    let rattlers = sandbox.finish(&mut command).exits(0).stdout;
    let rattlers: Vec<bool> = rattlers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rattlers.len(), descriptions.len());
    assert!(rattlers[0] && rattlers.contains(&false));
    let entry = Entry { folder: sandbox.path("package"), sidecar: sandbox.path("package.lock") };
    fs::create_dir_all(entry.folder.join("info")).unwrap();
    for ((what, description), taken) in descriptions.iter().zip(rattlers) {
        fs::write(entry.folder.join("info/index.json"), description.to_string()).unwrap();
        let ours = entry.package_index();
        // A text that is no version, name or URL is compared with the lock file, or left to rattler.
        let left = ["name: \"", "version: \"", "purls: ["].iter().any(|field| what.starts_with(field));
        assert!(ours.is_ok() == taken || left && !taken, "{what}: rattler {taken}, ours {ours:?}");
    }
}
