//! Where a server is asked: by TLS, below a prefix, as a router; and that it is the engine that answers.
use super::text;
use crate::kit::{Fake, Keeping, free_port};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

/// A key with a certificate of its own, for another name: only the file verifies it. The server shows what is in
/// `NAME.both`.
fn certificate(keeping: &Keeping, name: &str) -> String {
    let (key, file) = (keeping.sandbox.text(&format!("{name}.key")), keeping.sandbox.text(name));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "1", "-subj", "/CN=some.where", "-keyout", &key, "-out", &file]);
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let both = std::fs::read_to_string(&key).unwrap() + &std::fs::read_to_string(&file).unwrap();
    std::fs::write(keeping.sandbox.path(&format!("{name}.both")), both).unwrap();
    file
}

fn on_https<'a>(keeping: &'a Keeping, shown: &str, planned: &str) -> Fake<'a> {
    let mut fake = Fake::plan(keeping, "a").says("healthy", "").says("tls", &format!("{shown}.both"));
    (fake.plan["scheme"], fake.plan["ca_file"]) = (json!("https"), json!(planned));
    fake
}

#[test]
fn a_server_with_tls_is_probed_chatted_with_and_shown_by_the_certificate_that_its_plan_names() {
    let keeping = Keeping::new();
    let file = certificate(&keeping, "c.pem");
    let fake = on_https(&keeping, &file, &file).launched();
    let output = keeping.sandbox.sh(&format!("iprobe < {} | ichat Hello", fake.stream())).exits(0);
    let url = format!("https://127.0.0.1:{}", fake.port());
    assert_eq!(text(&output.one("ready"), "url"), url);
    assert_eq!(text(&output.one("answer"), "content"), "Hello world");
    let chat = keeping.sandbox.sh("ichat --instance a Hi").exits(0).one("answer");
    assert_eq!(text(&chat, "content"), "Hello world");
    let status = keeping.sandbox.sh("istat").exits(0).one("status");
    assert_eq!((text(&status, "rung"), text(&status, "url")), ("listed", url.as_str()));
}

#[test]
fn another_certificate_than_the_planned_one_and_none_at_all_are_reported_at_once() {
    let keeping = Keeping::new();
    let (shown, planned) = (certificate(&keeping, "c.pem"), certificate(&keeping, "other.pem"));
    let fake = on_https(&keeping, &shown, &planned).launched();
    let begun = Instant::now();
    let failed = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(69).one("failed");
    assert_eq!(text(&failed, "cause"), "it shows another certificate than the one in its file");
    std::fs::remove_file(&planned).unwrap();
    let failed = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(69).one("failed");
    assert!(text(&failed, "cause").ends_with("other.pem: No such file or directory"), "{failed}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_server_below_a_prefix_is_asked_there_and_one_whose_prefix_is_not_planned_is_not_waited_for() {
    let keeping = Keeping::new();
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "").says("prefix", "/llm");
    fake.plan["path_prefix"] = json!("/llm");
    let fake = fake.launched();
    let output = keeping.sandbox.sh(&format!("iprobe < {} | ichat Hello", fake.stream())).exits(0);
    assert_eq!(text(&output.one("ready"), "url"), format!("{}/llm", fake.url()));
    assert_eq!(output.all("answer").len(), 1);
    assert_eq!(text(&keeping.sandbox.sh("istat").exits(0).one("status"), "rung"), "listed");

    let unplanned = Fake::plan(&keeping, "b").says("healthy", "").says("prefix", "/llm").launched();
    let begun = Instant::now();
    let failed = keeping.sandbox.sh(&format!("iprobe < {}", unplanned.stream())).exits(1).one("failed");
    assert_eq!(text(&failed, "cause"), "HTTP 404: File Not Found");
    assert!(begun.elapsed() < Duration::from_secs(30), "of a patience of 60 s");
}

#[test]
fn a_router_is_ready_when_each_model_of_its_preset_has_answered_and_never_with_one_that_cannot_load() {
    let keeping = Keeping::new();
    let plan = |name: &str, models: &str| {
        let mut fake = Fake::plan(&keeping, name).says("healthy", "").says("routed", models);
        fake.plan["args"] = json!(["--models-preset", "/p.ini"]);
        fake.launched()
    };
    let good = plan("good", "tiny-a\ntiny-b");
    let ready = keeping.sandbox.sh(&format!("iprobe < {}", good.stream())).exits(0).one("ready");
    assert_eq!(text(&ready, "model_id"), "tiny-a");
    let log = keeping.log("good");
    let asked = log.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("asked ")?).ok());
    let asked: Vec<Value> = asked.filter(|body: &Value| body.get("messages").is_some()).collect();
    assert!(
        ["tiny-a", "tiny-b"].iter().all(|model| asked.iter().any(|body| body["model"] == *model)),
        "{log}"
    );
    let bad = plan("bad", "tiny-a\nbad");
    let failed = keeping.sandbox.sh(&format!("iprobe < {}", bad.stream())).exits(1).one("failed");
    assert!(text(&failed, "what").ends_with("cannot load bad"), "{failed}");
}

#[test]
fn a_routers_news_of_a_load_are_progress_and_one_that_repeats_itself_is_not_waited_for() {
    let keeping = Keeping::new();
    let plan = |name: &str, steps: &str| {
        let mut fake = Fake::plan(&keeping, name).says("healthy", "").says("routed", "tiny-a");
        fake.plan["args"] = json!(["--models-preset", "/p.ini"]);
        fake.plan["control"]["stall_timeout_s"] = json!(5);
        fake.says("slow", steps).launched()
    };
    // Longer than it is patient without a sign of progress.
    let (moving, stuck) = (plan("moving", "80"), plan("stuck", "0"));
    let begun = Instant::now();
    let both = keeping.sandbox.sh(&format!("cat {} {} | iprobe", moving.stream(), stuck.stream())).exits(75);
    assert_eq!(text(&both.one("ready"), "instance"), "moving");
    let failed = both.one("failed");
    assert_eq!(text(&failed, "instance"), "stuck");
    assert!(text(&failed, "cause").contains("tiny-a is loading"), "{failed}");
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_foreign_server_is_reported_at_every_rung_within_seconds_and_shown_by_nobody() {
    for rung in ["healthy", "loading", "elsewhere"] {
        let keeping = Keeping::new();
        let ours = Fake::plan(&keeping, "ours").says("bind-only", "").launched();
        let mut other = Fake::plan(&keeping, "other");
        // It is healthy, or loads, or knows none of our paths.
        other = if rung == "healthy" { other.says("healthy", "") } else { other };
        other = if rung == "elsewhere" { other.says("prefix", "/x") } else { other };
        let program = text(&other.plan, "program").to_owned();
        let script = std::fs::read_to_string(&program).unwrap();
        let script = script.replace(&other.port().to_string(), &ours.port().to_string());
        std::fs::write(&program, script).unwrap();
        other.plan["port"] = json!(free_port());
        let other = other.launched();
        let begun = Instant::now();
        let failed = keeping.sandbox.sh(&format!("iprobe < {}", ours.stream())).exits(75).one("failed");
        let cause = text(&failed, "cause");
        assert!(cause.starts_with("llama-cpp/other, an instance of ours ("), "{rung}: {failed}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{rung}: {:?}", begun.elapsed());
        let status = keeping.sandbox.sh("istat ours || true").one("status");
        assert_eq!(text(&status, "rung"), "alive", "{rung}");
        let kept = keeping.status("ours");
        assert_eq!(kept.get("healthy_unix"), None, "{rung}: its keeper took the other for it");
        drop(other);
    }
}

#[test]
fn a_model_without_chat_is_asked_otherwise_and_a_chat_that_is_broken_is_not_ready() {
    let none = "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template \
                if the tokenizer does not define one.";
    let broken = "Expected an expression, got 'end of statement block'";
    for (message, code) in [(none, 0), (broken, 1)] {
        let keeping = Keeping::new();
        let fake = Fake::plan(&keeping, "a").says("healthy", "");
        let said = json!({"error": {"message": message}});
        let fake = fake.says("plain", "").says("chat", &format!("400\n{said}")).launched();
        let output = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(code);
        match code {
            0 => assert_eq!(output.one("ready")["rung"], "answering"),
            _ => {
                let failed = output.one("failed");
                assert!(text(&failed, "cause").contains(broken), "{failed}");
                assert!(text(&failed, "hint").starts_with("mend what it names, often the chat template"));
            }
        }
    }
}

#[test]
fn a_fallback_question_that_ends_the_engine_is_a_failure_of_the_engine() {
    let keeping = Keeping::new();
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "").says("breaks", "");
    fake.plan["control"]["restart"] = json!("never");
    let fake = fake.says("chat", "400\n{\"error\":{\"message\":\"no chat template\"}}").launched();
    let failed = keeping.sandbox.sh(&format!("iprobe < {}", fake.stream())).exits(1).one("failed");
    assert!(text(&failed, "cause").starts_with("the engine ended by itself: exit 9"), "{failed}");
}
