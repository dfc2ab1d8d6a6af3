//! `--replace`: what runs from another plan is restarted, once the new plan is checked.
use super::{LIMIT, PATIENT};
use crate::kit::{Fake, Keeping, Output, alive, as_root, free_port, tools, wait_for};
use crate::pipeline::sandbox_with_engine;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

/// The same instance, planned anew while it runs.
fn again(plan: &Value, hash: &str) -> Value {
    let mut plan = plan.clone();
    (plan["reused"], plan["stale"], plan["hash"]) = (json!(true), json!(true), json!(hash));
    plan["model"] = json!("fake");
    plan
}

fn replace(keeping: &Keeping, plans: &[Value]) -> Output {
    let lines: String = plans.iter().map(|plan| format!("{plan}\n")).collect();
    keeping.sandbox.write("new.jsonl", lines);
    keeping.sandbox.sh("ilaunch --replace < new.jsonl")
}

#[test]
fn what_runs_from_another_plan_is_stopped_and_started_on_its_own_port() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").launched();
    let (old, engine) = (keeping.keeper("a").unwrap(), keeping.marked("a"));
    let mut plan = again(&fake.plan, "2");
    plan["env_set"] = json!({"NEW": "1"});
    // Without the option it goes on.
    let output = keeping.launch(&[plan.clone()]).exits(0);
    assert_eq!((&output.one("instance")["stale"], keeping.keeper("a")), (&json!(true), Some(old)));
    let output = replace(&keeping, &[plan]).exits(0);
    assert_eq!(output.kinds(), ["plan", "stopped", "instance"]);
    let (stopped, instance) = (output.one("stopped"), output.one("instance"));
    assert_eq!((&stopped["how"], stopped.get("forgotten")), (&json!("term"), None));
    assert_eq!((instance.get("reused"), &instance["env_set"]), (None, &json!({"NEW": "1"})));
    assert!(!alive(old) && engine.iter().all(|pid| !alive(*pid)));
    assert_eq!(instance["keeper_pid"], keeping.keeper("a").unwrap());
    wait_for("the new one to listen", LIMIT, || keeping.log("a").matches("up\n").count() == 2);
    assert_eq!((&keeping.status("a")["plan_hash"], output.stderr.as_str()), (&json!("2"), ""));
    let kept: Value = serde_json::from_str(&keeping.sandbox.read("run/llama-cpp/a/plan.json")).unwrap();
    assert_eq!((kept.get("reused"), kept.get("stale")), (None, None));
}

#[test]
fn one_that_runs_from_this_very_plan_is_left_alone() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    let keeper = keeping.keeper("a");
    let output = replace(&keeping, &[again(&plan, "1")]).exits(0);
    assert_eq!((&output.one("instance")["reused"], keeping.keeper("a")), (&json!(true), keeper));
    assert!(output.all("stopped").is_empty());
}

#[test]
fn a_plan_that_is_refused_stops_nothing_and_the_others_are_replaced() {
    let keeping = Keeping::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let names = ["model", "port", "program", "user", "log", "good"];
    let plans = names.map(|name| keeping.start(name, PATIENT));
    let keepers = names.map(|name| keeping.keeper(name).unwrap());
    let mut new = plans.map(|plan| again(&plan, "2"));
    new[0]["model"] = json!("/nonexistent/model.gguf");
    new[1]["port"] = json!(taken.local_addr().unwrap().port());
    new[2]["program"] = json!("/nonexistent/llama-server");
    new[3]["user"] = json!("no-such-user");
    new[4]["log_file"] = json!("/dev/null/x.log");
    let output = replace(&keeping, &new).exits(69);
    let told: Vec<_> =
        output.all("failed").iter().map(|f| f["instance"].as_str().unwrap().to_owned()).collect();
    for name in &names[..5] {
        assert!(told.contains(&(*name).to_owned()), "{name}: {}", output.transcript());
        let said = format!("ilaunch: did not replace llama-cpp {name}, which goes on as it is: ");
        assert!(output.stderr.contains(&said), "{}", output.stderr);
    }
    for (name, keeper) in names.iter().zip(keepers) {
        let same = keeping.keeper(name) == Some(keeper);
        assert_eq!(same, *name != "good", "{name}");
    }
    assert_eq!(output.one("stopped")["instance"], "good");
    assert_eq!(output.one("instance")["instance"], "good");
    // Keepers that waited for their turn have gone.
    wait_for("peace", LIMIT, || keeping.processes().len() == 2 * names.len());
}

#[test]
fn two_that_swap_their_ports_are_both_replaced() {
    let keeping = Keeping::new();
    let (a, b) = (Fake::plan(&keeping, "a").launched(), Fake::plan(&keeping, "b").launched());
    let swap = |one: &Fake<'_>, other: &Fake<'_>| {
        let mut plan = again(&one.plan, "2");
        plan["port"] = other.plan["port"].clone();
        let script = keeping.sandbox.read(&format!("engines/{}", one.name));
        let (old, new) = (one.port().to_string(), other.port().to_string());
        let program = format!("engines/{}-new", one.name);
        plan["program"] = json!(keeping.sandbox.script(&program, &script.replace(&old, &new)));
        plan
    };
    let output = replace(&keeping, &[swap(&a, &b), swap(&b, &a)]).exits(0);
    assert_eq!((output.all("stopped").len(), output.all("instance").len()), (2, 2));
    let up = |name: &str| keeping.log(name).matches("up\n").count() == 2;
    wait_for("both to listen", LIMIT, || up("a") && up("b"));
}

#[test]
fn whoever_needs_the_port_of_a_refused_plan_is_refused_before_anything_is_stopped() {
    let keeping = Keeping::new();
    let fakes = ["a", "b", "c"].map(|name| Fake::plan(&keeping, name).launched());
    let keepers = ["a", "b", "c"].map(|name| keeping.keeper(name).unwrap());
    for wrong in 0..3 {
        // Each is to have the port of the one before it.
        let mut new: Vec<Value> = fakes.iter().map(|fake| again(&fake.plan, "2")).collect();
        for (at, plan) in new.iter_mut().enumerate() {
            plan["port"] = fakes[(at + 2) % 3].plan["port"].clone();
        }
        new[wrong]["model"] = json!("/nonexistent/model.gguf");
        let output = replace(&keeping, &new).exits(69);
        assert_eq!((output.all("failed").len(), output.all("stopped").len()), (3, 0), "{output:?}");
        for name in ["a", "b", "c"] {
            let said = format!("ilaunch: did not replace llama-cpp {name}, which goes on as it is: ");
            assert!(output.stderr.contains(&said), "{}", output.stderr);
        }
        assert_eq!(["a", "b", "c"].map(|name| keeping.keeper(name).unwrap()), keepers);
        let up = |name: &str| keeping.log(name).matches("up\n").count();
        assert_eq!(["a", "b", "c"].map(up), [1, 1, 1]);
        // Keepers that waited for their turn have gone.
        wait_for("peace", LIMIT, || keeping.processes().len() == 2 * fakes.len());
    }
}

#[test]
fn a_new_plan_that_does_not_start_says_that_the_old_one_is_gone() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    let mut new = again(&plan, "2");
    new["program"] = json!(keeping.sandbox.write("plain", "not a program"));
    let failed = replace(&keeping, &[new]).exits(69).one("failed");
    let what = failed["what"].as_str().unwrap();
    assert!(
        what.starts_with("llama-cpp a was stopped and its new plan did not start: cannot start "),
        "{what}"
    );
    wait_for("all to go", LIMIT, || keeping.processes().is_empty());
    assert_eq!(keeping.status("a")["state"], "failed");
}

#[test]
fn another_users_instance_is_replaced_by_ours_and_the_other_way_round() {
    if !as_root() {
        return;
    }
    let keeping = Keeping::new();
    let plan = keeping.plan("a", PATIENT);
    drop(keeping.launch(std::slice::from_ref(&plan)).exits(0));
    let owner = || {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(format!("/proc/{}", keeping.keeper("a").unwrap())).unwrap().uid()
    };
    for (hash, user, uid) in [("2", json!("nobody"), 65534), ("3", Value::Null, 0)] {
        let mut new = again(&plan, hash);
        new["log_file"] = json!(keeping.sandbox.text(&format!("logs-{hash}/a.log")));
        if user.is_string() {
            new["user"] = user;
        }
        let output = replace(&keeping, &[new]).exits(0);
        assert_eq!(output.kinds(), ["plan", "stopped", "instance"]);
        assert_eq!((owner(), &keeping.status("a")["plan_hash"]), (uid, &json!(hash)));
    }
}

/// One keeper and its engine, and nobody who waits: two of anybody may also be the old keeper and the new one.
fn is_settled(keeping: &Keeping) -> bool {
    if keeping.status("a")["state"] != "running" {
        return false;
    }
    let mut both: Vec<u32> = keeping.keeper("a").into_iter().chain(keeping.marked("a")).collect();
    let mut all = keeping.processes();
    both.sort_unstable();
    all.sort_unstable();
    both.len() == 2 && both == all
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_instance_or_the_new_one() {
    let kills = if crate::kit::full() { 100 } else { 20 };
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    let (mut old, mut new) = (0, 0);
    for seed in 0..kills {
        let before = keeping.status("a")["plan_hash"].as_str().unwrap().to_owned();
        let after = format!("new-{seed}");
        keeping.sandbox.write("new.jsonl", format!("{}\n", again(&plan, &after)));
        let mut command = keeping.sandbox.command(tools().join("ilaunch"));
        command.arg("--replace").stdin(std::fs::File::open(keeping.sandbox.path("new.jsonl")).unwrap());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(seed * 40_000 / kills));
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for(&format!("peace after kill {seed}"), LIMIT, || is_settled(&keeping));
        let hash = keeping.status("a")["plan_hash"].as_str().unwrap().to_owned();
        assert!(hash == before || hash == after, "kill {seed}: {hash}");
        *(if hash == before { &mut old } else { &mut new }) += 1;
    }
    println!("{kills} kills: {old} left the old instance, {new} the new one");
}

#[test]
fn two_at_once_leave_one_instance_of_the_new_plan() {
    let keeping = Keeping::new();
    let plan = keeping.start("a", PATIENT);
    for round in 0..5 {
        let hash = format!("new-{round}");
        keeping.sandbox.write("new.jsonl", format!("{}\n", again(&plan, &hash)));
        let script = "ilaunch --replace < new.jsonl > one 2> err || true & \
                      ilaunch --replace < new.jsonl > two 2> err2 || true & wait";
        drop(keeping.sandbox.sh(script).exits(0));
        let both = format!("{}{}", keeping.sandbox.read("one"), keeping.sandbox.read("two"));
        let records: Vec<Value> = both.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |kind: &str| records.iter().filter(|r| r["kind"] == kind).cloned().collect::<Vec<_>>();
        let instances = of("instance");
        let started: Vec<&Value> = instances.iter().filter(|i| i.get("reused").is_none()).collect();
        // What the other one started is what was asked for.
        assert_eq!((started.len(), instances.len(), of("failed").len()), (1, 2, 0), "{both}");
        wait_for("peace", LIMIT, || keeping.processes().len() == 2);
        assert_eq!(started[0]["keeper_pid"], keeping.keeper("a").unwrap(), "{both}");
        assert_eq!(keeping.status("a")["plan_hash"], hash.as_str());
    }
}

#[test]
fn of_several_at_once_where_nothing_runs_one_starts_it_and_the_others_find_what_they_want() {
    let keeping = Keeping::new();
    let mut plan = keeping.plan("a", PATIENT);
    for round in 0..10 {
        plan["hash"] = json!(format!("round-{round}"));
        keeping.sandbox.write("new.jsonl", format!("{plan}\n"));
        let script = "for i in 1 2 3 4; do ilaunch --replace < new.jsonl > out$i & all+=($!); done
                      for one in ${all[@]}; do wait $one; done; cat out?";
        let output = keeping.sandbox.sh(script).exits(0);
        let started = output.all("instance").iter().filter(|i| i.get("reused").is_none()).count();
        assert_eq!((output.all("instance").len(), started), (4, 1), "{}", output.transcript());
        keeping.stop("a");
        wait_for("the keeper to go", LIMIT, || keeping.processes().is_empty());
    }
}

#[test]
fn a_real_server_takes_its_new_arguments_in_one_pipeline() {
    let sandbox = sandbox_with_engine(&[free_port()]);
    let pipeline = "ienv llama-cpp | iinstall | iplan | ilaunch --replace | iprobe | ichat Hello";
    let first = sandbox.sh(pipeline).exits(0).one("instance");
    let same = sandbox.sh(pipeline).exits(0).one("instance");
    assert_eq!((&same["reused"], &same["keeper_pid"]), (&json!(true), &first["keeper_pid"]));
    sandbox.write("llama.toml", sandbox.read("llama.toml").replace("4096", "2048"));
    let output = sandbox.sh(pipeline).exits(0);
    assert_ne!(output.one("instance")["keeper_pid"], first["keeper_pid"]);
    assert!(output.stderr.contains("; args: --ctx-size 4096 is now 2048\n"), "{}", output.stderr);
    assert!(!output.stderr.contains("goes on as it is"), "{}", output.stderr);
    assert_eq!((output.all("stopped").len(), output.all("answer").len()), (1, 1));
    // Who plans himself knows that he restarts it, and does not warn of it.
    sandbox.write("llama.toml", sandbox.read("llama.toml").replace("2048", "1024"));
    let alone = sandbox.sh("ienv llama-cpp | iinstall | ilaunch --replace | iprobe").exits(0);
    assert_eq!((alone.all("stopped").len(), alone.all("warning").len()), (1, 0), "{alone:?}");
    // A plan that is refused leaves it running, and the pipeline says why.
    sandbox.write("llama.toml", sandbox.read("llama.toml").replace("tiny.gguf", "gone.gguf"));
    let refused = sandbox.sh(pipeline).exits(69);
    assert!(refused.one("failed")["what"].as_str().unwrap().contains("goes on as it is"), "{refused:?}");
    assert_eq!(sandbox.sh("istat").exits(0).one("status")["state"], "running");
}
