//! A configuration to start from: each line with its reason, and what is not known as a comment.
mod families;

use engine::Weights;
use families::Family;
use gpu::Device;
use record::Engine;
use std::io;
use std::path::Path;
use tool::{Code, Failure};
use weights::{Format, Report};

/// Of a GPU's memory, in hundredths, what weights may take: the rest is for the cache and what is computed.
const WEIGHTS_SHARE: u64 = 75;
/// What the engines take of a GPU's memory unless told otherwise, in hundredths.
const ENGINE_SHARE: u64 = 90;

/// The TOML text for one model.
pub(crate) fn render(engine: Engine, report: &Report, gpus: Option<&[Device]>) -> String {
    let profile = engine::of(engine);
    let name = served_name(report);
    let path = report.path.display().to_string();
    let mut text = Text::default();
    text.comment(&format!("{engine}, for {path}: a start, each line with its reason."));
    let flags = format!("ienv {engine} | iplan --flags {engine}");
    text.comment(&format!(
        "Every key is explained in infer-dev(5); this engine's own are listed by: {flags}"
    ));
    text.line(&format!("[instance.{}.server]", instance_name(&name)));
    match (profile.weights, report.format) {
        (Weights::File, format) if format != Format::Gguf => {
            text.comment("llama.cpp reads GGUF files, and this is none: it has to be converted first.");
        }
        (Weights::Folder, Format::Gguf) => {
            text.comment(
                "GGUF in vLLM and SGLang is experimental: name the tokenizer of the original model too.",
            );
        }
        _ => {}
    }
    text.set(profile.model, &quoted(&path), "the model, by its path: names are looked up on the network");
    text.set(profile.served_name, &quoted(&name), "what clients ask for: the name of the folder or file");
    let spread = spread(engine, report, gpus, &mut text);
    context(engine, report, spread.zip(gpus), &mut text);
    if profile.weights == Weights::Folder {
        parsers(engine, report, &name, &mut text);
        code(report, &mut text);
    }
    if report.shape.multimodal {
        text.comment("It reads images or sound too; how many for each request is the engine's own default.");
        if engine == Engine::Sglang {
            text.set("enable-multimodal", "true", "it reads images or sound");
        }
    }
    report.problems.iter().for_each(|problem| text.comment(&format!("WRONG with the model: {problem}")));
    text.0
}

/// Write it to a new file. In a user's folder root does that as the user: nothing that the user puts there leads it elsewhere.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let cannot =
        |error: &io::Error| Failure::io(Code::Unmet, format!("cannot write {}", file.display()), error);
    if owner::symlink_metadata(file).is_ok() {
        let failure = Failure::new(Code::Unmet, format!("cannot write {}", file.display()), "it is there");
        return Err(failure.hint("remove it, or name another file"));
    }
    let name = file.file_name().ok_or_else(|| cannot(&io::ErrorKind::IsADirectory.into()))?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = owner::Dir::open(parent).and_then(|dir| dir.replace(name, 0o644, text.as_bytes()));
    written.map_err(|error| cannot(&error))
}

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(&tool::one_line(line));
        self.0.push('\n');
    }

    fn comment(&mut self, comment: &str) {
        self.line(&format!("# {comment}"));
    }

    /// A key of the engine, with the reason for its value above it.
    fn set(&mut self, flag: &str, value: &str, reason: &str) {
        self.comment(&format!("{reason}."));
        self.line(&format!("{} = {value}", flag.replace('-', "_")));
    }
}

/// Over how many GPUs it has to be spread; `None` where that is not known.
fn spread(engine: Engine, report: &Report, gpus: Option<&[Device]>, text: &mut Text) -> Option<u64> {
    let bytes = report.total().bytes;
    let Some(gpus) = gpus.filter(|gpus| !gpus.is_empty()) else {
        text.comment(&format!("Its weights have {} MiB. nvidia-smi names no GPU here, so it is unknown over how many to spread them.", bytes >> 20));
        return None;
    };
    let smallest = gpus.iter().filter_map(|gpu| gpu.memory.as_ref()).map(|memory| memory.total_bytes).min();
    let Some(memory) = smallest.filter(|memory| *memory > 0) else {
        text.comment("nvidia-smi does not say how much memory its GPUs have.");
        return None;
    };
    let seen =
        format!("{} GPUs with {} MiB each, and weights of {} MiB", gpus.len(), memory >> 20, bytes >> 20);
    if engine == Engine::LlamaCpp {
        let fits = bytes <= gpus.len() as u64 * (memory / 100 * WEIGHTS_SHARE);
        match fits {
            true => text.set("n-gpu-layers", "999", &format!("all layers on the GPUs: {seen}")),
            false => text.comment(&format!("{seen}: not all layers fit, and llama.cpp chooses how many do.")),
        }
        return fits.then_some(gpus.len() as u64);
    }
    let heads = report.shape.heads;
    let divides = |size: &u64| heads.is_none_or(|heads| heads % size == 0);
    let sizes = (0..7).map(|power| 1_u64 << power).filter(|size| *size <= gpus.len() as u64).filter(divides);
    let found = sizes.into_iter().find(|size| bytes / size <= memory / 100 * WEIGHTS_SHARE);
    match (found, engine::of(engine).parallel.first()) {
        (Some(size), Some(flag)) => {
            let heads = heads.map_or_else(String::new, |heads| format!(", of {heads} heads that it divides"));
            text.set(
                flag,
                &size.to_string(),
                &format!("the least that leaves room for the cache: {seen}{heads}"),
            );
        }
        _ => text.comment(&format!("{seen}: it does not fit, at any parallel size that divides its heads.")),
    }
    found
}

/// How long the context may get.
fn context(engine: Engine, report: &Report, spread: Option<(u64, &[Device])>, text: &mut Text) {
    let flag = match engine {
        Engine::LlamaCpp => "ctx-size",
        Engine::Vllm => "max-model-len",
        _ => "context-length",
    };
    let Some(made_for) = report.shape.context_length else {
        return text.comment(&format!(
            "Its configuration does not say how long its context is: {} is left to the engine.",
            flag.replace('-', "_")
        ));
    };
    let Some(token) = report.shape.kv_bytes_per_token.filter(|bytes| *bytes > 0) else {
        return text.comment(&format!(
            "It was made for {made_for} tokens; what one takes is not known, so {} is left to the engine.",
            flag.replace('-', "_")
        ));
    };
    let memory = spread.and_then(|(size, gpus)| {
        let smallest =
            gpus.iter().filter_map(|gpu| gpu.memory.as_ref()).map(|memory| memory.total_bytes).min()?;
        Some(size * (smallest / 100 * ENGINE_SHARE))
    });
    let Some(free) = memory.map(|memory| memory.saturating_sub(report.total().bytes)) else {
        let key = flag.replace('-', "_");
        return text.comment(&format!("It was made for {made_for} tokens, 1,000 of which take some {} MiB of cache; {key} = {made_for} is for where there is room.", (token * 1000) >> 20));
    };
    let room = (free / token).min(made_for) / 1024 * 1024;
    let reason = format!(
        "made for {made_for} tokens; 1,000 take some {} MiB, and some {} MiB are left",
        (token * 1000) >> 20,
        free >> 20
    );
    match room {
        0 => text.comment(&format!("{reason}: there is no room for a context.")),
        room => text.set(flag, &room.to_string(), &reason),
    }
}

fn parsers(engine: Engine, report: &Report, name: &str, text: &mut Text) {
    let model_type = report.shape.model_type.as_deref().unwrap_or_default();
    let sources = if engine == Engine::Vllm { families::VLLM } else { families::SGLANG };
    let Some(family) = families::find(model_type, name) else {
        return text.comment(&format!(
            "No parser of tool calls or of reasoning is known for '{model_type}' by this name: see {} and {}.",
            sources.0, sources.1
        ));
    };
    let Family { vllm, sglang, .. } = family;
    let (calls, reasoning) = *if engine == Engine::Vllm { vllm } else { sglang };
    let whose = format!("the family {model_type}: {}", sources.0);
    if calls.is_empty() {
        text.comment(&format!("No parser of tool calls is known for {whose}."));
    } else {
        if engine == Engine::Vllm {
            text.set("enable-auto-tool-choice", "true", "tool calls are the model's to make");
        }
        text.set("tool-call-parser", &quoted(calls), &whose);
    }
    if !reasoning.is_empty() {
        text.set("reasoning-parser", &quoted(reasoning), &format!("the family {model_type}: {}", sources.1));
    }
}

/// Whether the model's own code has to run is the engine's to say.
fn code(report: &Report, text: &mut Text) {
    if let Some(class) = report.shape.own_code.first() {
        text.comment(&format!("It brings Python code of its own ({class}). Only an engine that does not know its architecture needs it:"));
        text.comment("trust_remote_code = true");
    }
    if !report.shape.chat_template {
        text.comment(
            "It has no chat template, so chat is refused: chat_template = \"/path/to/template.jinja\"",
        );
    }
}

/// The folder's name, or the file's without what counts its parts; of a snapshot of the hub's cache the model's.
fn served_name(report: &Report) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let above = report.path.parent().filter(|parent| name(parent) == "snapshots").and_then(Path::parent);
    if let Some(model) =
        above.and_then(|above| name(above).rsplit_once("--").map(|(_, model)| model.to_owned()))
    {
        return model;
    }
    let own = name(&report.path);
    let stem = own.strip_suffix(".gguf").or_else(|| own.strip_suffix(".safetensors")).unwrap_or(&own);
    let numbered = |stem: &str| {
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (rest, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(count) && digits(number)).then(|| rest.to_owned())
    };
    numbered(stem).unwrap_or_else(|| stem.to_owned())
}

/// A name that a table may have.
fn instance_name(served: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = served.chars().map(plain).take(64).collect();
    match name.as_str() {
        "" | "control" | "server" | "env" => "model".to_owned(),
        _ => name,
    }
}

/// A text of TOML.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", tool::one_line(&escaped))
}
