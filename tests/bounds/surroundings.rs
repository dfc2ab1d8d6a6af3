//! Every tool in poor surroundings: whatever is closed, full, missing or short, it ends with a code of the suite, soon, and says why.
use crate::kit::{Keeping, Output, as_each, left_out};
use crate::tree::tool_names;

/// A call of each tool that does a little of its work on the files of [`surroundings`]. What writes goes to `out`.
const CALLS: [(&str, &str); 18] = [
    ("ibridge", "ibridge env"),
    ("icache", "icache < stream"),
    ("ichat", "ichat --url http://127.0.0.1:9 --timeout 1 Hello"),
    ("ienv", "ienv --host llama-cpp"),
    ("iinstall", "iinstall < stream"),
    ("ijoin", "ijoin parts --into out/whole"),
    ("ikeep", "ikeep < stream"),
    ("ilaunch", "ilaunch < stream"),
    ("imodel", "imodel whole"),
    ("ipack", "ipack --template template -o out/bundle.tar"),
    ("iplan", "iplan --table < stream"),
    ("iprobe", "iprobe --timeout 1 < stream"),
    ("ireport", "ireport < stream"),
    ("iseal", "iseal -- /bin/true"),
    ("isplit", "isplit --size 1MiB whole -d out"),
    ("istat", "istat"),
    ("istop", "istop"),
    ("iwarm", "iwarm --wait 0 < stream"),
];

/// What is done to a call before it is made, as the shell says it. `CALL` is the call; `ro` and `full` are made as root.
const CONDITIONS: [(&str, &str, bool); 10] = [
    ("closed stdin", "CALL <&-", false),
    ("closed stdout", "CALL >&-", false),
    ("closed stderr", "CALL 2>&-", false),
    ("all closed", "CALL <&- >&- 2>&-", false),
    ("no environment", "env -i PATH=\"$PATH\" CALL", false),
    ("few descriptors", "ulimit -n 6; CALL", false),
    ("small files only", "ulimit -f 0; CALL", false),
    ("little memory", "ulimit -v 40000; CALL", false),
    (
        "a full disk",
        "mount -t tmpfs -o size=4k,nr_inodes=2 none out; head -c 8k /dev/zero > out/fill || :; CALL",
        true,
    ),
    (
        "nothing can be written",
        "mount -o remount,bind,ro / || mount --bind / / && mount -o remount,bind,ro /; CALL",
        true,
    ),
];

fn surroundings() -> Keeping {
    let keeping = Keeping::new();
    let sandbox = &keeping.sandbox;
    sandbox.write("whole", vec![7_u8; 3 << 20]);
    std::fs::create_dir_all(sandbox.path("out")).unwrap();
    sandbox.write(
        "template/pixi.toml",
        "[workspace]\nname = \"t\"\nchannels = []\nplatforms = [\"linux-64\"]\n",
    );
    sandbox.write("template/pixi.lock", "version: 6\nenvironments: {}\npackages: []\n");
    drop(sandbox.sh("isplit --size 1MiB whole -d parts").exits(0));
    let stream = crate::fuzz::tools::stream().replace("$SANDBOX", &sandbox.text(""));
    sandbox.write("stream", stream);
    keeping
}

/// The call under the condition, with an end.
fn made(keeping: &Keeping, condition: &str, own: bool, call: &str) -> Output {
    let script = condition.replace("CALL", call);
    let name = keeping.sandbox.write("call.sh", format!("set +e\n{script}\n"));
    let unshare = if own { "unshare --mount" } else { "" };
    keeping.sandbox.sh(&format!("exec {unshare} timeout --signal=KILL 60 bash {}", name.display()))
}

#[test]
fn every_tool_ends_with_a_code_of_the_suite_whatever_it_lacks() {
    let named: Vec<&str> = CALLS.iter().map(|(tool, _)| *tool).collect();
    assert_eq!(named, tool_names(), "a call for each tool");
    let keeping = surroundings();
    let root = as_each();
    let mut made_calls = 0;
    for (name, condition, own) in CONDITIONS {
        if own && !root {
            left_out(&format!("{name}: only root can mount"));
            continue;
        }
        let writes = made(&keeping, condition, own, "touch out/written");
        assert!(!own || writes.code != 0, "{name}: {}", writes.transcript());
        for (tool, call) in CALLS {
            let output = made(&keeping, condition, own, call);
            let told = format!("{tool}, {name}: {}", output.transcript());
            assert!([0, 1, 2, 65, 69, 75].contains(&output.code), "{told}");
            let hears = !condition.contains("2>&-");
            assert!(output.code == 0 || !hears || output.stderr.contains(&format!("{tool}: ")), "{told}");
            assert!(!output.stderr.contains("panicked"), "{told}");
            made_calls += 1;
        }
    }
    println!("{made_calls} calls");
}

#[test]
fn ten_thousand_records_pass_every_filter() {
    let keeping = Keeping::new();
    let line = r#"{"kind":"skipped","engine":"llama-cpp","by":"ienv","why":"boot did not ask for it"}"#;
    let stream = format!("{line}\n").repeat(10_000);
    keeping.sandbox.write("stream", &stream);
    let output = keeping
        .sandbox
        .sh("iwarm < stream | icache | iinstall | iplan | imodel | ilaunch | iprobe | ichat")
        .exits(0);
    assert_eq!(output.stdout, stream);
}
