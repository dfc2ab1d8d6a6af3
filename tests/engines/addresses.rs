//! Where a real engine listens: with a certificate and behind a prefix, and on a port that somebody else has.
use super::{LIMIT, on_each};
use crate::kit::wait_for;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

#[test]
fn one_with_a_certificate_and_a_prefix_answers() {
    on_each("TLS, a prefix, two names", |real| {
        let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 \
                    -subj /CN=some.where -keyout c.key -out c.pem";
        drop(real.sandbox.sh(make).exits(0));
        let (key, certificate) = (real.sandbox.text("c.key"), real.sandbox.text("c.pem"));
        let own = match real.engine {
            "vllm" => "root_path = '/llm'\nserved_model_name = ['tiny', 'small']",
            _ => "fastapi_root_path = '/llm'",
        };
        real.configure(&format!(
            "ssl_keyfile = '{key}'\nssl_certfile = '{certificate}'\nhost = 'localhost'\n{own}"
        ));
        let stages = format!("| ilaunch | iprobe --timeout {} | ichat --max-tokens 8 Hello", LIMIT.as_secs());
        let output = real.pipe(&stages).exits(0);
        assert_eq!(output.kinds(), ["env", "plan", "instance", "ready", "answer"]);
        assert!(output.one("ready")["url"].as_str().unwrap().starts_with("https://"));
        let held = real.held();
        drop(real.sandbox.sh("istop").exits(0).one("stopped"));
        real.is_gone(&held);
    });
}

/// Another server holds the port and answers `/health`; it must not be taken for the engine.
#[test]
fn a_server_that_took_the_port_first_is_reported_at_once_and_the_engine_says_so_too() {
    on_each("a foreign server on the port", |real| {
        real.configure("");
        drop(real.pipe("| ilaunch > started.jsonl").exits(0));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, real.port)).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                drop(stream.set_read_timeout(Some(Duration::from_millis(100))));
                drop(stream.read(&mut [0; 4096]));
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
            }
        });
        let begun = Instant::now();
        let probed = real.sandbox.sh(&format!("iprobe --timeout {} < started.jsonl", LIMIT.as_secs()));
        let seconds = begun.elapsed().as_secs();
        let failed = probed.exits(75).one("failed");
        println!("told after {seconds} s: {failed}");
        assert!(seconds <= 10, "{seconds} s: {failed}");
        let said = format!("listens on port {}", real.port);
        assert!(failed["cause"].as_str().unwrap().ends_with(&said), "{failed}");
        wait_for("the engine's own word", LIMIT, || real.status()["state"] == "failed");
        let status = real.status();
        assert_eq!(status["class"], "port_in_use", "{status}");
        wait_for("the end of its processes", LIMIT, || real.pids().is_empty());
    });
}
