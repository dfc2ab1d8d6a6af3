//! The audit log: who has changed what, by which tool, and what came of it.
mod hostile;

use crate::iinstall::Pack;
use crate::kit::{Fake, Keeping, as_each, as_root, send, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

const PATIENT: &str = "echo up; while :; do sleep 1000 & wait; done";

/// Every line of an audit log. Each has to be whole.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(line).collect()
}

/// By whom, what, to which engine or instance, and what came of it.
fn summary(lines: &[Value]) -> Vec<String> {
    let word = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
    let one = |line: &Value| {
        ["by", "event", "engine", "instance", "outcome"].map(|name| word(line, name)).join(" ")
    };
    lines.iter().map(one).collect()
}

/// A place where two archives can be installed and an instance can be kept.
struct Site {
    keeping: Keeping,
}

impl Site {
    fn new() -> Self {
        let keeping = Keeping::new();
        for n in ["1", "2"] {
            Pack::good().file("n", n).save(&keeping.sandbox.path(&format!("{n}.tar")));
        }
        Self { keeping }
    }

    /// The `env` record of the engine, with this archive.
    fn env(&self, archive: &str, user: Option<&str>) -> String {
        let path = |name: &str| self.keeping.sandbox.path(name);
        let mut env = json!({
            "kind": "env", "engine": "llama-cpp", "origin": {}, "workspace": path("w"), "run_dir": path("run"),
            "log_dir": path("w/logs"), "install_dir": path("home/llama"), "archive": path(archive)
        });
        if let Some(user) = user {
            env["user"] = user.into();
        }
        env.to_string()
    }

    fn install(&self, archive: &str, user: Option<&str>, options: &str) -> crate::kit::Output {
        self.keeping.sandbox.write("env.jsonl", self.env(archive, user) + "\n");
        self.keeping.sandbox.sh(&format!("iinstall {options} < env.jsonl"))
    }

    fn log(&self) -> Vec<Value> {
        lines(&self.keeping.sandbox.path("run/audit.jsonl"))
    }
}

#[test]
fn from_install_to_rollback_there_is_a_line_for_each_change_and_no_other() {
    as_each();
    let site = Site::new();
    drop(site.install("1.tar", None, "").exits(0));
    // Nothing changes.
    drop(site.install("1.tar", None, "").exits(0));
    drop(site.install("2.tar", None, "").exits(0));
    let plan = site.keeping.start("a", PATIENT);
    // It runs already.
    let mut again = plan.clone();
    again["reused"] = true.into();
    drop(site.keeping.launch(&[again]).exits(0));
    let sandbox = &site.keeping.sandbox;
    drop(sandbox.sh("istop").exits(0));
    // It is stopped already.
    drop(sandbox.sh("istop").exits(0));
    drop(site.install("2.tar", None, "--rollback").exits(0));
    drop(site.install("2.tar", None, "--rollback").exits(69));
    drop(sandbox.sh("istop --forget").exits(0));
    let log = site.log();
    insta::assert_snapshot!(summary(&log).join("\n"), @r"
    iinstall install llama-cpp - done
    iinstall install llama-cpp - done
    ilaunch start llama-cpp a done
    ikeep stop llama-cpp a done
    istop stop llama-cpp a done
    iinstall rollback llama-cpp - done
    iinstall rollback llama-cpp - failed
    istop forget llama-cpp a done
    ");
    let first = &log[0];
    assert_eq!(first["uid"], fs::metadata(sandbox.path("run/audit.jsonl")).unwrap().uid());
    let at = first["at"].as_str().unwrap();
    assert!((at.len(), &at[10..11], &at[19..]) == (20, "T", "Z") && first["pid"].is_u64(), "{first}");
    assert!(first["path"].as_str().unwrap().contains("/.installs/"), "{first}");
    let user = first["user"].as_str().unwrap();
    assert_eq!(sandbox.sh("id -un").exits(0).stdout.trim(), user);
    let failed = &log[6];
    assert_eq!(failed["code"], 69);
    assert!(failed["reason"].as_str().unwrap().starts_with("cannot roll back"), "{failed}");
    assert_eq!((log[5]["event"].as_str(), &log[4]["how"]), (Some("rollback"), &json!("term")));
    let mode = fs::metadata(sandbox.path("run/audit.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_a_keeper_does_by_itself_is_noted_with_the_reason() {
    let keeping = Keeping::new();
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "");
    let control = &mut fake.plan["control"];
    (control["backoff_ms"], control["max_restarts"]) = (json!(20), json!(1));
    let fake = fake.launched();
    let log = || lines(&keeping.sandbox.path("run/audit.jsonl"));
    for event in ["restart", "give_up"] {
        wait_for("the engine to be healthy", Duration::from_secs(30), || {
            keeping.status("a")["healthy_unix"].is_number() && keeping.status("a")["pid"].is_u64()
        });
        let pid = u32::try_from(keeping.status("a")["pid"].as_u64().unwrap()).unwrap();
        send(pid, Signal::KILL);
        wait_for(event, Duration::from_secs(30), || summary(&log()).iter().any(|line| line.contains(event)));
    }
    drop(fake);
    keeping.wait_until_left("a");
    let log = log();
    insta::assert_snapshot!(summary(&log).join("\n"), @r"
    ilaunch start llama-cpp a done
    ikeep restart llama-cpp a done
    ikeep give_up llama-cpp a failed
    ");
    assert!(log[1]["reason"].as_str().unwrap().contains("signal 9"), "{}", log[1]);
    assert!(log[2]["reason"].as_str().unwrap().contains("after 1 restarts"), "{}", log[2]);
}

#[test]
fn what_root_does_for_a_user_is_in_roots_log_and_what_his_keeper_does_in_the_instances() {
    if !as_root() {
        return;
    }
    let site = Site::new();
    let sandbox = &site.keeping.sandbox;
    for tool in ["ikeep", "ilaunch"] {
        sandbox.own_tool(tool, &format!("tools/{tool}"));
    }
    fs::set_permissions(sandbox.path("home"), fs::Permissions::from_mode(0o755)).unwrap();
    drop(site.install("1.tar", Some("nobody"), "").exits(0));
    let mut plan = site.keeping.plan("a", PATIENT);
    plan["user"] = "nobody".into();
    sandbox.write("plan.jsonl", format!("{plan}\n"));
    drop(sandbox.sh("tools/ilaunch < plan.jsonl").exits(0));
    site.keeping.wait_for_log("a", "up\n");
    // The user can put what he likes into his folder: what he writes there is his word, and root's file is not reached.
    let theirs = site.keeping.state_dir("a").join("audit.jsonl");
    let as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    drop(sandbox.sh(&format!("! {as_nobody} bash -c 'echo x >> run/audit.jsonl' 2> /dev/null")).exits(0));
    drop(sandbox.sh(&format!("{as_nobody} ln -s $PWD/run/audit.jsonl {}", theirs.display())).exits(0));
    drop(sandbox.sh("istop").exits(0));
    insta::assert_snapshot!(summary(&site.log()).join("\n"), @r"
    iinstall install llama-cpp - done
    ilaunch start llama-cpp a done
    istop stop llama-cpp a done
    ");
    assert!(
        site.keeping.log("a").contains("audit.jsonl: it is a symbolic link"),
        "{}",
        site.keeping.log("a")
    );
    // Without the link the keeper writes there, and what it wrote outlives that the instance is forgotten.
    fs::remove_file(&theirs).unwrap();
    drop(sandbox.sh("tools/ilaunch < plan.jsonl; istop --forget").exits(0));
    assert_eq!(summary(&lines(&theirs)), ["ikeep stop llama-cpp a done"]);
    assert_eq!(fs::metadata(&theirs).unwrap().uid(), 65_534);
    assert_eq!(site.log().len(), 5);
}

#[test]
fn a_file_that_cannot_be_written_is_said_once_and_stops_nothing() {
    as_each();
    for (plant, why) in [
        ("ln -s $PWD/elsewhere run/audit.jsonl", "it is a symbolic link"),
        ("mkfifo run/audit.jsonl", "it is no regular file"),
        ("mkfifo run/audit.jsonl; exec 9<>run/audit.jsonl", "it is no regular file"),
        ("mkdir run/audit.jsonl", "Is a directory"),
    ] {
        let site = Site::new();
        let sandbox = &site.keeping.sandbox;
        sandbox.write("elsewhere", "");
        let plans = ["a", "b"].map(|name| format!("{}\n", site.keeping.plan(name, PATIENT)));
        sandbox.write("plans.jsonl", plans.concat());
        let launched = sandbox.sh(&format!("{plant}; ilaunch < plans.jsonl")).exits(0);
        assert_eq!(launched.all("instance").len(), 2);
        let warnings = launched.all("warning");
        assert_eq!((warnings.len(), warnings[0]["rule"].as_str()), (1, Some("audit")), "{plant}");
        assert_eq!(warnings[0]["what"], format!("cannot write $SANDBOX/run/audit.jsonl: {why}"));
        assert_eq!(launched.stderr.matches("warning").count(), 1, "{}", launched.stderr);
        assert_eq!(sandbox.sh("istop").exits(0).all("stopped").len(), 2);
        assert_eq!(sandbox.read("elsewhere"), "", "{plant}");
    }
}

#[test]
fn on_a_full_disk_the_work_goes_on_and_the_next_line_is_whole() {
    let site = Site::new();
    let plan = site.keeping.plan("a", PATIENT);
    site.keeping.sandbox.write("env.jsonl", site.env("1.tar", None) + "\n" + &plan.to_string() + "\n");
    let script = "mount -t tmpfs -o size=8k,mode=755 none run; echo -n '{\"at\":\"2026' > run/audit.jsonl
        cat /dev/zero > run/fill || :
        iinstall < env.jsonl; rm run/fill; rm -r home/llama; iinstall < env.jsonl > /dev/null; tail -n +2 run/audit.jsonl | jq -c .outcome";
    let mut unshare = site.keeping.sandbox.command("unshare");
    let output = site
        .keeping
        .sandbox
        .finish(unshare.args(["--map-root-user", "--mount", "bash", "-c", script]))
        .exits(0);
    assert_eq!(output.all("installed").len(), 1, "{output:?}");
    assert!(output.stderr.contains("No space left on device"), "{}", output.stderr);
    assert!(output.stdout.ends_with("\"done\"\n"), "{output:?}");
}
