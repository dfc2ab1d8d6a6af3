//! The page as a browser takes it.
use crate::kit::{Sandbox, left_out, not_run, root};
use serde_json::Value;
use std::process::Command;

/// What became of a page in a browser.
pub(super) struct Seen {
    /// The document as the browser understood it.
    pub(super) dom: String,
    /// Every address of a host in `.invalid` that it asked for; what a browser asks for by itself is none of the page's.
    pub(super) asked: Vec<String>,
    /// The picture, PNG.
    pub(super) picture: Vec<u8>,
}

/// Whether there is a browser; where not, says that the test was not run.
pub(super) fn is_there() -> bool {
    if std::env::var_os("INFER_DEV_TEST_BARE").is_some() {
        // Everything else of it runs outside.
        left_out("the bare machine has no network to get a browser by");
        return false;
    }
    let script = root().join("scripts/test.d/browser");
    let there = Command::new(&script).status().unwrap().success();
    if !there {
        not_run("there is no chromium");
    }
    there
}

/// Open a file of the sandbox, without a network.
pub(super) fn look(sandbox: &Sandbox, file: &str) -> Seen {
    let chromium = "iseal --best-effort -- chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
         --disable-background-networking --disable-component-update --disable-sync --window-size=1200,7000";
    let (url, profile) = (format!("file://{}", sandbox.text(file)), sandbox.text("chromium"));
    let look = |way: &str| {
        sandbox.sh(&format!("{chromium} --user-data-dir={profile} {way} {url} 2>/dev/null")).exits(0).stdout
    };
    let dom = look(&format!("--log-net-log={} --dump-dom", sandbox.text("net.json")));
    drop(look(&format!("--screenshot={}", sandbox.text("page.png"))));
    let log: Value = serde_json::from_str(&sandbox.read("net.json")).unwrap();
    let urls = log["events"].as_array().unwrap().iter().filter_map(|event| event["params"]["url"].as_str());
    let asked = urls.filter(|url| url.contains(".invalid")).map(str::to_owned).collect();
    Seen { dom, asked, picture: std::fs::read(sandbox.path("page.png")).unwrap() }
}

impl Seen {
    /// How many elements of a name there are.
    pub(super) fn count(&self, element: &str) -> usize {
        self.dom.matches(&format!("<{element}>")).count() + self.dom.matches(&format!("<{element} ")).count()
    }
}
