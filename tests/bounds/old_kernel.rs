//! Linux 4.18, which RHEL 8 has, and filters of containers that refuse what is newer: pidfd_open, close_range and the like.
use super::Ordinary;
use crate::kit::{Fake, Keeping, Sandbox, alive, fixture, free_port, root, started_in, wait_for};
use crate::pipeline::{roads, sandbox_with_engine};
use rustix::process::Signal;
use serde_json::json;
use std::time::Duration;

/// How it is refused: by the kernel that has it not, and by a filter.
const WAYS: [&str; 2] = ["ENOSYS", "EPERM"];
const PATIENT: &str = "echo up; exec sleep 1000";

/// A script, and all that it starts, with nothing newer than 4.18.
fn old(sandbox: &Sandbox, way: &str, script: &str) -> crate::kit::Output {
    let refusing = root().join("tests/data/refusing.py");
    let mut command = sandbox.command("python3");
    command.arg(refusing).args([way, "newer", "bash", "-euo", "pipefail", "-c", script]);
    sandbox.finish(&mut command)
}

#[test]
fn the_filter_refuses_what_is_newer_and_nothing_else() {
    let sandbox = Sandbox::new();
    let script = "python3 -c 'import os; os.pidfd_open(os.getpid())'";
    for (way, says) in [("ENOSYS", "Function not implemented"), ("EPERM", "Operation not permitted")] {
        let refused = old(&sandbox, way, script).exits(1);
        assert!(refused.stderr.contains(says), "{}", refused.transcript());
    }
    drop(sandbox.sh(script).exits(0));
}

#[test]
fn from_an_archive_to_an_answer_and_back_to_nothing() {
    for way in WAYS {
        let sandbox = sandbox_with_engine(&[free_port(), free_port()]);
        let output = old(&sandbox, way, "ienv llama-cpp | iinstall | iplan | ilaunch | iprobe | ichat Hello");
        assert_eq!(output.exits(0).all("answer").len(), 2, "{way}");
        let statuses = old(&sandbox, way, "istat").exits(0).all("status");
        assert_eq!(statuses.len(), 2, "{way}: {statuses:?}");
        drop(old(&sandbox, way, "istat --table && ienv llama-cpp | iplan | ilaunch | iprobe").exits(0));
        let stopped = old(&sandbox, way, "istop").exits(0).all("stopped");
        assert!(stopped.len() == 2 && stopped.iter().all(|it| it["how"] == "term" && it["orphans"] == 0));
        for status in statuses {
            assert!(!alive(u32::try_from(status["pid"].as_u64().unwrap()).unwrap()));
        }
    }
}

/// With it the C library starts no thread, so no engine could run: what needs none works, and the rest says why it does not.
#[test]
fn a_filter_that_answers_eperm_to_clone3_is_named_and_nothing_is_half_done() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let forbidden = |script: &str| {
        let mut command = sandbox.command("python3");
        command.arg(root().join("tests/data/refusing.py"));
        sandbox.finish(command.args(["EPERM", "clone3", "bash", "-euo", "pipefail", "-c", script]))
    };
    let failed = forbidden("ienv llama-cpp | iinstall | iplan | ilaunch | iprobe | ichat Hello").exits(69);
    assert!(failed.one("failed")["hint"].as_str().unwrap().contains("forbids clone3"), "{}", failed.stdout);
    drop(sandbox.sh("ienv llama-cpp | iinstall | iplan > plans").exits(0));
    let failed = forbidden("ilaunch < plans").exits(69).one("failed");
    assert!(failed["hint"].as_str().unwrap().contains("forbids clone3"), "{failed}");
    wait_for("the keeper to end", Duration::from_secs(60), || started_in(&sandbox).is_empty());
    drop(sandbox.sh("ilaunch < plans > launched; iprobe < launched > ready").exits(0));
    drop(forbidden("istat && iprobe < launched").exits(0).one("ready"));
    drop(forbidden("ichat Hello < ready").exits(0).one("answer"));
    assert_eq!(forbidden("istop").exits(0).one("stopped")["how"], "term");
}

#[test]
fn keepers_that_hang_and_what_killed_ones_left_are_ended() {
    let stubborn = "trap '' TERM; setsid bash -c \"trap '' TERM; while :; do sleep 1000; done\" & \
                    echo up; while :; do sleep 1000; done";
    for way in WAYS {
        let keeping = Keeping::new();
        for name in ["hangs", "left"] {
            keeping.start(name, stubborn);
        }
        keeping.signal_keeper("hangs", Signal::STOP);
        keeping.signal_keeper("left", Signal::KILL);
        keeping.wait_until_left("left");
        let stopped = old(&keeping.sandbox, way, "istop --timeout 1").exits(0).all("stopped");
        assert_eq!(stopped.len(), 2, "{stopped:?}");
        assert!(stopped.iter().all(|it| it["orphans"].as_u64().unwrap() >= 2), "{stopped:?}");
        assert!(keeping.processes().is_empty());
    }
}

#[test]
fn no_stray_descriptor_reaches_keeper_or_engine() {
    for way in WAYS {
        let keeping = Keeping::new();
        let plan = keeping.plan("a", PATIENT);
        keeping.sandbox.write("plan", format!("{plan}\n"));
        drop(old(&keeping.sandbox, way, "exec 7<plan 9<plan 200<plan; ilaunch < plan").exits(0));
        keeping.wait_for_log("a", "up\n");
        let strays = |pid: u32| {
            let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
            let links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            links.filter(|link| link.ends_with("plan")).count()
        };
        assert_eq!(keeping.processes().into_iter().map(strays).sum::<usize>(), 0, "{way}");
        assert_eq!(keeping.processes().len(), 2);
    }
}

#[test]
fn an_instance_in_the_foreground_hands_on_signals_and_its_exit() {
    for way in WAYS {
        let keeping = Keeping::new();
        let mut plan = keeping.plan("a", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
        plan["control"]["background"] = json!(false);
        keeping.sandbox.write("plan", format!("{plan}\n"));
        let script = "ilaunch < plan > out & until grep -q up logs/a.log 2> /dev/null; do sleep 0.05; done
                      kill -TERM $!; wait $!";
        drop(old(&keeping.sandbox, way, script).exits(7));
        assert!(keeping.processes().is_empty());
    }
}

#[test]
fn a_cache_is_recorded_verified_and_installed_sealed() {
    for way in WAYS {
        let mut sandbox = roads::sandbox("sglang");
        for (name, folder) in [("TEMPLATE_DIR", "template"), ("CACHE_ROOT", "cache")] {
            let folder = sandbox.text(folder);
            sandbox.set(&format!("AUTO_INFER_SGLANG_{name}"), &folder);
        }
        drop(fixture::engine("sglang", &sandbox.path("")));
        drop(old(&sandbox, way, "ienv sglang | icache --record").exits(0).one("cache"));
        let road = "ienv sglang | icache --deep | iinstall | iplan | ilaunch | iprobe | ichat Hello";
        let output = old(&sandbox, way, road).exits(0);
        assert_ne!(output.one("installed")["seal"], "none");
        drop(output.one("answer"));
        drop(old(&sandbox, way, "istop").exits(0).one("stopped"));
    }
}

#[test]
fn the_network_is_sealed_off_as_on_a_newer_kernel() {
    let sandbox = Sandbox::new();
    let namespace = "iseal --method namespace --";
    for way in WAYS {
        for script in ["true", "sh -c '[ $(ls /sys/class/net | wc -l) -ge 1 ]'"] {
            let plain = sandbox.sh(&format!("{namespace} {script}")).code;
            assert_eq!(old(&sandbox, way, &format!("{namespace} {script}")).code, plain, "{way} {script}");
        }
        let reach = "python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 2)'";
        let refused = old(&sandbox, way, &format!("iseal -- {reach}")).exits(1);
        assert!(
            refused.stderr.contains("unreachable") || refused.stderr.contains("not permitted"),
            "{refused:?}"
        );
    }
    let Some(user) = Ordinary::new() else { return };
    let keeping = user.keeping();
    let refusing = std::fs::read(root().join("tests/data/refusing.py")).unwrap();
    keeping.sandbox.write("refusing.py", refusing);
    let plain = user.sh(&keeping, &format!("{namespace} true")).code;
    for way in WAYS {
        let script = format!("python3 refusing.py {way} newer {namespace} true");
        assert_eq!(user.sh(&keeping, &script).code, plain, "{way}");
    }
}

#[test]
fn files_are_split_joined_and_packed() {
    for way in WAYS {
        let sandbox = Sandbox::new();
        sandbox.write("whole", vec![7; 300_000]);
        let script = "isplit --size 100000 whole -d parts; ijoin parts --into a; ijoin parts > b; ijoin --check parts; cmp a b; cmp a whole";
        drop(old(&sandbox, way, script).exits(0));
        let mut sandbox = roads::sandbox("sglang");
        let _channel = fixture::template("sglang", &sandbox.path(""));
        drop(old(&sandbox, way, "ipack --template template -o sglang.tar").exits(0));
        let bundle = sandbox.text("sglang.tar");
        sandbox.set("AUTO_INFER_SGLANG_BUNDLE_PATH", &bundle);
        let installed = old(&sandbox, way, "ienv sglang | iinstall").exits(0).one("installed");
        assert_ne!(installed["seal"], "none", "{installed}");
    }
}

#[test]
fn an_engine_of_another_user_is_started_probed_and_stopped() {
    if Ordinary::new().is_none() {
        return;
    }
    for way in WAYS {
        let keeping = Keeping::new();
        let mut fake = Fake::plan(&keeping, "a").says("healthy", "");
        fake.plan["user"] = json!("nobody");
        fake.plan["log_file"] = json!("/dev/null");
        keeping.sandbox.write("plan", format!("{}\n", fake.plan));
        // The script and its folder are ours, and he only reads them.
        drop(old(&keeping.sandbox, way, "ilaunch < plan > launched && iprobe < launched").exits(0));
        let stopped = old(&keeping.sandbox, way, "istop").exits(0).one("stopped");
        assert_eq!((&stopped["how"], &stopped["orphans"]), (&json!("term"), &json!(0)));
        assert!(keeping.processes().is_empty());
    }
}
