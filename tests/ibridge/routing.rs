//! Several instances of one name: who gets a request, and what becomes of it where an instance goes.
use super::LIMIT;
use crate::kit::{
    Answer, Fake, Front, Keeping, ask, free_port, full, read, read_chunk, read_head, send, wait_for,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Two instances that serve the same name, each saying which it is, and a bridge before them.
struct Two<'a> {
    fakes: [Fake<'a>; 2],
    front: Front,
}

impl<'a> Two<'a> {
    fn start(keeping: &'a Keeping, options: &[&str]) -> Self {
        let fakes = ["a", "b"].map(|name| {
            let mut fake = Fake::plan(keeping, name).says("healthy", "").says("chat", &said(name));
            fake.plan["control"]["backoff_ms"] = json!(1);
            fake.launched()
        });
        let front = Front::start(&keeping.sandbox, options);
        wait_for("both to be ready", LIMIT, || ready(&front) == 2);
        Self { fakes, front }
    }

    /// How many requests of a conversation an instance has got.
    fn got(&self, at: usize) -> usize {
        let Fake { keeping, name, .. } = &self.fakes[at];
        keeping.log(name).matches("\"messages\": [").count()
    }

    fn kill(&self, at: usize) {
        let Fake { keeping, name, .. } = &self.fakes[at];
        send(u32::try_from(keeping.status(name)["pid"].as_u64().unwrap()).unwrap(), Signal::KILL);
    }

    /// Wait until the first is back from this many ends.
    fn back(&self, restarts: u64) {
        let status = || self.fakes[0].keeping.status("a");
        wait_for("another start", LIMIT, || status()["restarts"] == restarts);
        wait_for("it to be ready", LIMIT, || status()["healthy_unix"].is_f64() && ready(&self.front) == 2);
    }
}

/// What a chat answers: a status and a body.
fn said(name: &str) -> String {
    format!("200\n{{\"from\":\"{name}\"}}")
}

fn ready(front: &Front) -> usize {
    let metrics = front.get("/metrics").text().to_owned();
    let line = metrics.lines().find_map(|line| line.strip_prefix("ibridge_instances{state=\"ready\"} "));
    line.unwrap().parse().unwrap()
}

fn chat(words: &[&str]) -> Value {
    let roles = ["user", "assistant"].into_iter().cycle();
    let messages: Vec<Value> =
        words.iter().zip(roles).map(|(word, role)| json!({"role": role, "content": word})).collect();
    json!({"model": "fake", "max_tokens": 9, "messages": messages})
}

fn streamed(word: &str) -> Value {
    let mut body = chat(&[word]);
    body["stream"] = json!(true);
    body
}

#[track_caller]
fn from(answer: Answer) -> String {
    answer.is(200).json()["from"].as_str().unwrap().to_owned()
}

#[test]
fn requests_go_where_fewest_are_under_way_and_turns_to_who_holds_their_beginning() {
    let keeping = Keeping::new();
    let two = Two::start(&keeping, &[]);
    let ask = |words: &[&str]| from(two.front.post("/v1/chat/completions", &chat(words)));
    assert_eq!(ask(&["one"]), "a");
    // While it works on one request, others go to the other one, and a conversation that began there stays.
    two.fakes[0].now_says("stuck", "");
    let first = two.front.begin_post("/v1/chat/completions", &chat(&["two"]));
    wait_for("the request to arrive", LIMIT, || two.got(0) == 2);
    assert_eq!([ask(&["three"]), ask(&["four"])], ["b", "b"]);
    two.fakes[0].unsays("stuck");
    assert_eq!(from(read(&mut { first })), "a");
    // Both are free again: the first would be taken, were it not for what the other one has in its cache.
    assert_eq!(ask(&["three", "yes", "go on"]), "b");
    assert_eq!(ask(&["three", "yes", "go on", "yes", "and on"]), "b");
    assert_eq!(ask(&["one", "yes", "go on"]), "a");
    assert_eq!(ask(&["five"]), "a");
}

#[test]
fn a_connection_that_fails_before_the_first_byte_goes_to_the_other_and_after_it_never() {
    let keeping = Keeping::new();
    let two = Two::start(&keeping, &["--mode", "translate"]);
    // It ends with the request in its hands.
    two.fakes[0].now_says("breaks", "");
    assert_eq!(from(two.front.post("/v1/completions", &json!({"model": "fake", "prompt": "x"}))), "b");
    two.back(1);
    for fake in &two.fakes {
        fake.now_says("holds", "");
        fake.unsays("chat");
    }
    let mut openai = two.front.begin_post("/v1/chat/completions", &streamed("six"));
    assert!(read_head(&mut openai).starts_with("HTTP/1.1 200"));
    let (mut begun, mut rest) = (Vec::new(), Vec::new());
    assert!(read_chunk(&mut openai, &mut begun) || begun.ends_with(b"\n\n"));
    two.kill(0);
    drop(std::io::Read::read_to_end(&mut openai, &mut rest));
    assert!(!String::from_utf8_lossy(&rest).contains("[DONE]"), "{rest:?}");
    wait_for("the request in the log", LIMIT, || two.got(0) == 1);
    assert_eq!(two.got(1), 0);
    two.back(2);
    let mut stream = two.front.begin_post("/v1/messages", &streamed("seven"));
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    let mut events = Vec::new();
    assert!(read_chunk(&mut stream, &mut events), "the message has begun");
    two.kill(0);
    while read_chunk(&mut stream, &mut events) {}
    let events = String::from_utf8(events).unwrap();
    assert!(events.contains("event: message_start") && events.contains("event: error"), "{events}");
    assert!(!events.contains("message_stop"), "{events}");
    assert_eq!(two.got(1), 0);
}

#[test]
fn a_queue_that_is_full_says_when_to_come_again() {
    let keeping = Keeping::new();
    let two = Two::start(&keeping, &["--queue", "1"]);
    two.fakes.iter().for_each(|fake| fake.now_says("stuck", ""));
    let mut under_way = [0, 1].map(|at| {
        let begun = two.front.begin_post("/v1/chat/completions", &chat(&[&format!("at {at}")]));
        wait_for("the request to arrive", LIMIT, || two.got(at) == 1);
        begun
    });
    let anthropic = two.front.post("/v1/messages", &chat(&["more"])).is(429);
    assert_eq!(anthropic.header("retry-after"), Some("5"));
    assert_eq!(anthropic.json()["error"]["type"], "rate_limit_error");
    let text = "every instance is at work on 1 request, which is its limit: try again in 5 s";
    let openai = two.front.post("/v1/chat/completions", &chat(&["more"])).is(429);
    assert_eq!(openai.json()["error"]["message"], text);
    two.fakes.iter().for_each(|fake| fake.unsays("stuck"));
    assert_eq!(under_way.each_mut().map(|begun| from(read(begun))), ["a", "b"]);
    assert_eq!(from(two.front.post("/v1/chat/completions", &chat(&["more"]))), "a");
}

#[test]
fn a_request_is_held_with_pings_while_its_instance_loads_up_to_a_limit() {
    let keeping = Keeping::new();
    let fake = Fake::plan(&keeping, "a").launched();
    let front = Front::start(&keeping.sandbox, &["--mode", "translate"]);
    let impatient = Front::start(&keeping.sandbox, &["--hold", "1"]);
    let refused = impatient.post("/v1/messages", &streamed("eight")).is(503);
    assert!(refused.header("retry-after").is_some());
    let text = "no instance was ready within 1 s: llama-cpp/a is loading";
    assert_eq!(refused.json()["error"]["message"], text);
    let stream = thread::scope(|scope| {
        let stream = scope.spawn(|| front.post("/v1/messages", &streamed("nine")).is(200));
        // The first ping comes after 15 s: the everyday run sees others of them.
        thread::sleep(Duration::from_secs(if full() { 17 } else { 1 }));
        fake.now_says("healthy", "");
        stream.join().unwrap()
    });
    let events = stream.events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert!(!full() || names[..2] == ["message_start", "ping"], "{names:?}");
    assert_eq!(super::text_of(&events), "Hello world");
}

#[test]
fn a_request_is_held_while_its_instance_restarts() {
    let keeping = Keeping::new();
    let mut fake = Fake::plan(&keeping, "a").says("healthy", "").says("chat", &said("a"));
    fake.plan["control"]["backoff_ms"] = json!(1500);
    let fake = fake.launched();
    let front = Front::start(&keeping.sandbox, &[]);
    front.lists(1);
    wait_for("its keeper to see it healthy", LIMIT, || keeping.status("a")["healthy_unix"].is_f64());
    send(u32::try_from(keeping.status("a")["pid"].as_u64().unwrap()).unwrap(), Signal::KILL);
    // Whether it is seen as gone by now or not.
    assert_eq!(from(front.post("/v1/chat/completions", &chat(&["ten"]))), "a");
    assert_eq!(keeping.status("a")["restarts"], 1, "{}", fake.name);
}

#[test]
fn a_response_that_is_kept_is_found_where_it_is() {
    let keeping = Keeping::new();
    let two = Two::start(&keeping, &[]);
    two.fakes[0].now_says("kept", "resp_1");
    two.fakes[1].now_says("kept", "resp_2");
    for id in ["resp_1", "resp_2"] {
        let found = two.front.get(&format!("/v1/responses/{id}?include[]=x")).is(200).json();
        assert_eq!((found["id"].as_str(), found["asked"].as_str()), (Some(id), Some("GET")));
        let head =
            format!("DELETE /v1/responses/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(two.front.connect(), &head, b"").is(200).json()["asked"], "DELETE");
    }
    assert_eq!(two.front.get("/v1/responses/resp_3").is(404).json()["error"]["message"], "no such response");
    assert!(
        two.front.log().contains(" 200 DELETE /v1/responses/ID instance=llama-cpp/b "),
        "{}",
        two.front.log()
    );
}

#[test]
fn of_two_under_load_one_is_killed_and_nothing_but_its_own_streams_is_cut() {
    let (sandbox, front) = super::served(&[free_port(), free_port()], &[]);
    wait_for("both to be ready", LIMIT, || ready(&front) == 2);
    let mut body = super::streamed("tiny");
    (body["max_tokens"], body["ignore_eos"]) = (json!(400), json!(true));
    let begun = AtomicUsize::new(0);
    let one = || {
        let mut stream = front.begin_post("/v1/chat/completions", &body);
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
        let mut answer = Vec::new();
        read_chunk(&mut stream, &mut answer);
        begun.fetch_add(1, Ordering::Relaxed);
        while read_chunk(&mut stream, &mut answer) {}
        String::from_utf8(answer).unwrap()
    };
    let answers: Vec<String> = thread::scope(|scope| {
        let asked: Vec<_> = (0..12).map(|_| scope.spawn(one)).collect();
        wait_for("streams on both", LIMIT, || begun.load(Ordering::Relaxed) >= 4);
        let status = sandbox.read("run/llama-cpp/tiny0/status.json");
        let pid = serde_json::from_str::<Value>(&status).unwrap()["pid"].as_u64().unwrap();
        send(u32::try_from(pid).unwrap(), Signal::KILL);
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let cut = answers.iter().filter(|answer| answer.ends_with("[cut]")).count();
    let whole = answers.iter().filter(|answer| answer.ends_with("data: [DONE]\n\n")).count();
    assert!(cut > 0 && cut + whole == 12 && whole >= 6, "{cut} cut, {whole} whole");
    let lines = |instance: &str| {
        let log = front.log();
        log.lines().filter(|line| line.contains(instance) && line.ends_with(" cut")).count()
    };
    wait_for("the lines of the log", LIMIT, || lines("instance=llama-cpp/tiny0") == cut);
    assert_eq!(lines("instance=llama-cpp/tiny1"), 0, "{}", front.log());
    drop(front.post("/v1/chat/completions", &super::hello("tiny")).is(200));
}
