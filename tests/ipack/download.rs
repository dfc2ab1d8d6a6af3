//! What is downloaded into the cache and from it into the bundle.
use super::{CACHE, QUICK, TEMPLATE, connected, fetched, made, ok};
use crate::kit::{Loopback, Output};

#[test]
fn a_file_of_the_cache_that_is_not_the_locked_one_is_refused_by_name() {
    let (sandbox, _channel) = connected();
    ok(&sandbox, QUICK);
    let wheel = format!("{CACHE}/pypi/sglang-0.5.7-py3-none-any.whl");
    ok(&sandbox, &format!("cp b.tar old; cp b.tar.json old.json; echo >> {wheel}"));
    let output = sandbox.sh(QUICK).exits(65);
    assert!(output.stderr.contains("pypi/sglang-0.5.7-py3-none-any.whl has sha256"), "{}", output.stderr);
    assert!(output.stderr.contains(&format!("remove $SANDBOX/{wheel}")), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    ok(&sandbox, "cmp b.tar old; cmp b.tar.json old.json; rm old* b.tar*");
    let output = sandbox.sh(QUICK).exits(65);
    assert!(output.stderr.contains("has sha256"), "{}", output.stderr);
    assert_eq!(made(&sandbox), TEMPLATE);
    let output = sandbox.sh(&format!("rm {wheel}; {QUICK}")).exits(0);
    let size = std::fs::metadata(sandbox.path(&wheel)).unwrap().len();
    assert_eq!(output.one("packed")["downloaded_bytes"], size);
}

#[test]
fn what_the_server_changed_since_the_lock_is_refused_and_does_not_stay_in_the_cache() {
    let (sandbox, _channel) = connected();
    ok(&sandbox, "cp -a www right; echo >> www/wheels/sglang-0.5.7-py3-none-any.whl");
    let output = sandbox.sh(QUICK).exits(65);
    assert!(output.stderr.contains("its server has another file than was locked"), "{}", output.stderr);
    ok(&sandbox, "rm -r www; mv right www");
    let output = sandbox.sh(QUICK).exits(0);
    assert!(output.stderr.contains("an ended run left"), "{}", output.stderr);
    let downloaded = output.one("packed")["downloaded_bytes"].as_u64().unwrap();
    assert!(downloaded < 100_000, "Python was there, and as locked: {downloaded}");
}

#[test]
fn half_a_file_that_a_killed_run_left_in_the_cache_is_fetched_again() {
    let (sandbox, _channel) = connected();
    ok(&sandbox, QUICK);
    let wheel = format!("{CACHE}/pypi/sglang-0.5.7-py3-none-any.whl");
    ok(&sandbox, &format!("echo unproved > {CACHE}/.ipack.lock; truncate -s 100 {wheel}"));
    let output = sandbox.sh(QUICK).exits(0);
    assert!(output.stderr.contains(&format!("an ended run left $SANDBOX/{wheel}")), "{}", output.stderr);
    assert_eq!(sandbox.read(&format!("{CACHE}/.ipack.lock")), "");
}

#[test]
fn failed_downloads_are_tried_again_and_lasting_failures_are_not() {
    let (sandbox, channel) = connected();
    channel.fail(2);
    let output = sandbox.sh(QUICK).exits(0);
    assert_eq!(output.stderr.matches("503 Service Unavailable").count(), 2, "{}", output.stderr);
    assert!(output.stderr.contains("again in 0 s, 2 tries left"), "{}", output.stderr);
    ok(&sandbox, "rm -r b.tar* w/.cache");
    channel.fail(1000);
    let output = sandbox.sh(&format!("{QUICK} --retries 1")).exits(75);
    assert!(output.stderr.contains("hint: tried 2 times"), "{}", output.stderr);
    channel.fail(0);
    let asked = fetched(&channel);
    ok(&sandbox, "mv www/wheels/sglang* .");
    let output = sandbox.sh(QUICK).exits(69);
    assert!(output.stderr.contains("404 Not Found"), "{}", output.stderr);
    assert!(!output.stderr.contains("tries left"), "{}", output.stderr);
    let wheels = channel.requests().iter().skip(asked).filter(|line| line.contains("sglang")).count();
    assert_eq!(wheels, 1, "{:?}", channel.requests());
    assert!(made(&sandbox).starts_with("sglang-0.5.7"), "{}", made(&sandbox));
}

#[test]
fn proxies_are_handed_on_and_their_credentials_are_nowhere() {
    let (mut sandbox, _channel) = connected();
    let proxy = Loopback::recorder();
    let address = proxy.url().replace("://", "://somebody:s3cretword@");
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        sandbox.set(name, &address);
    }
    let output = sandbox.sh(&format!("{QUICK} --retries 1 -vv")).exits(69);
    assert!(!proxy.requests().is_empty(), "{}", output.stderr);
    let source = address + "/unpack";
    let loud = format!("{QUICK} --create-executable --pixi-unpack-source {source} -vv");
    let output = [output, sandbox.sh(&loud).exits(69)];
    for Output { stdout, stderr, .. } in output {
        assert!(!stdout.contains("s3cretword") && !stderr.contains("s3cretword"), "{stderr}");
        assert!(stderr.contains("pixi-pack"), "{stderr}");
    }
}
