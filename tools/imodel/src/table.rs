//! Models for a person: one line for each kind of their contents, then what is wrong, then what to do.
use crate::inspection::Inspection;
use tool::{count, size};

/// All of them.
pub(crate) fn render(inspections: &[Inspection]) -> String {
    inspections.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(inspection: &Inspection) -> String {
    let Inspection { model, report } = inspection;
    let mut text = String::new();
    let whose = match (&model.engine, &model.instance) {
        (Some(engine), Some(instance)) => format!(" ({} of {engine} {instance})", model.role),
        _ => String::new(),
    };
    put(&mut text, &format!("{}{whose}", model.path.display()));
    let architecture = model.architecture.as_deref().unwrap_or("unknown architecture");
    let whole = match (model.complete, &model.manifest, &model.signature) {
        (false, ..) => "NOT WHOLE",
        (true, None, None) => "whole",
        (true, Some(_), None) => "whole and as recorded",
        (true, None, Some(_)) => "whole and as signed",
        (true, Some(_), Some(_)) => "whole, as recorded and as signed",
    };
    put(&mut text, &format!("  {whole}  {architecture}"));
    let files = format!(
        "{} {} in {} {}",
        model.tensors,
        plural("tensor", model.tensors),
        model.files,
        plural("file", model.files)
    );
    put(&mut text, &format!("  {:12} {:>12}  {files}", model.format, size(model.bytes)));
    for (name, amount) in &model.types {
        let about = format!(
            "{} {}, {} parameters",
            amount.tensors,
            plural("tensor", amount.tensors),
            count(amount.parameters)
        );
        put(&mut text, &format!("  {name:12} {:>12}  {about}", size(amount.bytes)));
    }
    let shape = [
        ("layers", model.layers),
        ("heads", model.heads),
        ("KV heads", model.kv_heads),
        ("context", model.context_length),
    ];
    let shape: Vec<String> =
        shape.iter().filter_map(|(name, value)| Some(format!("{name} {}", (*value)?))).collect();
    if !shape.is_empty() {
        put(&mut text, &format!("  {}", shape.join(", ")));
    }
    if let (Some(gpus), Some(bytes)) = (model.gpus, model.gpu_bytes) {
        put(&mut text, &format!("  {} of weights on each of {gpus} GPUs", size(bytes)));
    }
    if let Some(bytes) = model.kv_bytes_per_1000_tokens {
        put(&mut text, &format!("  about {} of cache for 1,000 tokens", size(bytes)));
    }
    for (mark, findings) in [("wrong", &report.problems), ("note", &report.warnings)] {
        findings.iter().for_each(|finding| put(&mut text, &format!("  {mark}: {finding}")));
    }
    let mut hints: Vec<&str> =
        report.problems.iter().chain(&report.warnings).map(|finding| finding.hint).collect();
    hints.sort_unstable();
    hints.dedup();
    hints.iter().for_each(|hint| put(&mut text, &format!("  to do: {hint}")));
    text
}

fn put(text: &mut String, line: &str) {
    text.push_str(tool::one_line(line).trim_end());
    text.push('\n');
}

fn plural(word: &str, count: u64) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}
