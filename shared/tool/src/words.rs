//! How messages speak of records and of pipelines.
use failure::{Code, Failure};
use record::Record;

/// A record's kind and whom it is about.
pub(crate) fn named(record: &Record) -> String {
    let (engine, instance) = record.subject();
    let engine = engine.map_or(String::new(), |engine| format!(" of {engine}"));
    let instance = instance.map_or(String::new(), |instance| format!(" {instance}"));
    format!("'{}'{engine}{instance}", record.kind())
}

/// The pipeline that brings a tool all that it reads, for a person who has left something out.
pub(crate) fn pipeline(tool: &str) -> String {
    const STAGES: [&str; 6] = ["iinstall", "iplan", "imodel", "ilaunch", "iprobe", "ichat"];
    match STAGES.iter().position(|stage| *stage == tool) {
        Some(at) => format!("ienv llama-cpp | {}", STAGES[..=at].join(" | ")),
        None => format!("ienv sglang | {tool}"),
    }
}

/// The failure of reading records, as those of standard input.
#[must_use]
pub fn unreadable(error: record::Error) -> Failure {
    match error {
        record::Error::Read(error) => Failure::io(Code::Input, "cannot read standard input", &error),
        record::Error::Malformed { number, cause } => {
            let what = format!("line {number} of standard input is not a record");
            Failure::new(Code::Input, what, cause).hint("pipe in what a tool of infer-dev writes, as it is")
        }
    }
}
