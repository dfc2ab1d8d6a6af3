//! Where it ran, and what could leave it.
use super::cells::{facts, size, yes};
use crate::page::{Cell, Section, code, text};
use crate::run::{Entry, Run};
use serde_json::Value;

const NOT_RECORDED: &str =
    "The stream has no 'host' record: it was made without INFER_DEV_KEEP and without ienv --host.";

pub(crate) fn host(run: &Run) -> Section {
    let mut section = Section::new("Host");
    let Some(host) = run.all("host").next() else {
        section.text(NOT_RECORDED);
        return section;
    };
    let names = ["hostname", "system", "kernel", "architecture", "processors", "uid", "image", "driver"];
    let mut rows = facts(host, &names);
    rows.push(vec![text("memory"), text(size(host.number("memory_bytes")))]);
    rows.push(vec![text("looked at"), text(crate::moment::date(host.number("at_unix")))]);
    section.table(&["", ""], rows);
    section.table(&["GPU", "name", "uuid", "memory"], objects(host, "gpus").map(gpu).collect());
    match host.value("nvidia_smi") {
        Some(_) => section.lines(host.text("nvidia_smi")),
        None => section.text("No GPU answered nvidia-smi."),
    }
    section
}

fn gpu(gpu: &Value) -> Vec<Cell> {
    let memory = size(gpu.get("memory_bytes").and_then(Value::as_f64));
    vec![text(of(gpu, "index")), text(of(gpu, "name")), code(of(gpu, "uuid")), text(memory)]
}

/// The proof that nothing left, or that there is none.
pub(crate) fn network(run: &Run) -> Section {
    let mut section = Section::new("Network");
    match run.all("host").next() {
        None => section.text(NOT_RECORDED),
        Some(host) => namespace(host, &mut section),
    }
    let sealed = |one: &Entry| vec![code(one.subject()), text(one.text("seal"))];
    section.table(&["install", "kept from the network by"], run.all("installed").map(sealed).collect());
    for status in run.all("status") {
        attempts(status, run.all("answer").count(), &mut section);
    }
    section
}

fn namespace(host: &Entry, section: &mut Section) {
    let out = objects(host, "routes").any(|route| ["0.0.0.0/0", "::/0"].contains(&of(route, "to").as_str()));
    section.text(match (host.flag("isolated"), out) {
        (true, _) => {
            "Nothing could leave: when the run began no interface but loopback was up, and no route led elsewhere."
        }
        (false, true) => "A default route led out when the run began: that nothing left is not proved.",
        (false, false) => {
            "There was no default route when the run began: only networks that are connected directly could be reached."
        }
    });
    let interface = |one: &Value| {
        let addresses = one.get("addresses").and_then(Value::as_array).into_iter().flatten();
        let addresses: Vec<&str> = addresses.filter_map(Value::as_str).collect();
        vec![
            code(of(one, "name")),
            yes(one.get("up") == Some(&Value::Bool(true))),
            text(addresses.join(", ")),
        ]
    };
    section.table(&["interface", "up", "addresses"], objects(host, "interfaces").map(interface).collect());
    let route = |one: &Value| vec![code(of(one, "to")), text(of(one, "via")), code(of(one, "interface"))];
    section.table(&["route to", "via", "interface"], objects(host, "routes").map(route).collect());
}

/// What the engine tried while it served, where its keeper watched.
fn attempts(status: &Entry, requests: usize, section: &mut Section) {
    let Some(egress) = status.value("egress") else { return };
    if let Some(why) = egress.get("unwatched").and_then(Value::as_str) {
        section.text(format!("{}: what it tried was not watched: {why}.", status.subject()));
        return;
    }
    let tried = egress.get("attempts").and_then(Value::as_u64).unwrap_or(0);
    section.text(format!(
        "{}: {tried} attempts to leave this machine, with {requests} requests in this stream.",
        status.subject()
    ));
    let target = |one: &Value| ["family", "address", "pid", "count"].map(|name| code(of(one, name))).to_vec();
    let targets = egress.get("targets").and_then(Value::as_array).into_iter().flatten();
    section.table(&["family", "address", "pid", "times"], targets.map(target).collect());
}

fn objects<'a>(entry: &'a Entry, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    entry.value(name).and_then(Value::as_array).into_iter().flatten()
}

fn of(value: &Value, name: &str) -> String {
    value.get(name).map(crate::run::shown).unwrap_or_default()
}
