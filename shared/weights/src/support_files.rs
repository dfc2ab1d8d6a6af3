//! The files that an engine needs beside the weights.
use crate::folder::Folder;
use crate::hint::{COPY_AGAIN_HINT, FETCH_AGAIN_HINT};
use crate::lfs_pointer::{GIT_LFS_HINT, LfsPointer};
use crate::report::{Format, Report};
use crate::{Loader, Role, config, rules};

/// Names of files that are, or are part of, a tokenizer.
const TOKENIZERS: [&str; 12] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer.model.v1",
    "tokenizer.model.v3",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "source.spm",
    "merges.txt",
];

/// Files that are read at the start, where they are there.
const READ: [&str; 9] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "tekken.json",
    "special_tokens_map.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "chat_template.json",
];

/// Look at all of them.
pub(crate) fn inspect(folder: &Folder<'_>, loader: Loader, report: &mut Report) {
    if !loader.reads_folder || report.format == Format::Gguf {
        return;
    }
    for name in READ.into_iter().filter(|name| folder.has(name)) {
        check_file(folder, name, report);
    }
    check_config(folder, loader, report);
    if matches!(loader.role, Role::Model | Role::Tokenizer) && !loader.own_tokenizer {
        check_tokenizer(folder, report);
    }
    if loader.role == Role::Model {
        check_chat_template(folder, loader, report);
        check_processor(folder, report);
    }
    check_own_code(folder, loader, report);
}

/// A file that is there can be read, and is what it is named.
fn check_file(folder: &Folder<'_>, name: &str, report: &mut Report) {
    let path = folder.path.join(name);
    let size = match owner::metadata(&path) {
        Ok(found) => found.len(),
        Err(error) => {
            return report.problem(rules::MODEL_FILES, name, failure::io_text(&error), FETCH_AGAIN_HINT);
        }
    };
    if let Some(lfs_pointer) = LfsPointer::at(&path, size) {
        return report.problem(rules::WEIGHTS_POINTER, name, lfs_pointer.describe(), GIT_LFS_HINT);
    }
    if size == 0 {
        return report.problem(rules::MODEL_FILES, name, "it is empty", COPY_AGAIN_HINT);
    }
    // The tokenizer may be large, and is for its reader to understand.
    let small = name.ends_with(".json") && !["tokenizer.json", "tekken.json"].contains(&name);
    if small && let Err(why) = config::read(&path) {
        report.problem(rules::MODEL_FILES, name, why, COPY_AGAIN_HINT);
    }
}

fn check_config(folder: &Folder<'_>, loader: Loader, report: &mut Report) {
    let (name, other) = match loader.role {
        Role::Lora => ("adapter_config.json", "adapter_config.json"),
        // Mistral's own format has another.
        Role::Model | Role::Draft => ("config.json", "params.json"),
        Role::Mmproj | Role::Tokenizer => return,
    };
    if !folder.has(name) && !folder.has(other) {
        report.problem(rules::MODEL_FILES, name, "No such file or directory", FETCH_AGAIN_HINT);
    }
}

fn check_tokenizer(folder: &Folder<'_>, report: &mut Report) {
    let is_one = |name: &String| {
        TOKENIZERS.contains(&name.as_str())
            || name.ends_with(".tiktoken")
            || name.starts_with("tiktoken")
            || name.starts_with("tokenization")
    };
    if !folder.names.iter().any(is_one) {
        let hint = "bring tokenizer.json, or what this model has in its place";
        report.problem(rules::MODEL_FILES, "tokenizer.json", "there is no tokenizer", hint);
    }
}

fn check_chat_template(folder: &Folder<'_>, loader: Loader, report: &mut Report) {
    let sibling_path =
        ["chat_template.jinja", "chat_template.json", "tekken.json"].iter().any(|name| folder.has(name));
    let inside = || {
        let config = config::read(&folder.path.join("tokenizer_config.json")).ok()?;
        config.get("chat_template").filter(|it| !it.is_null()).map(|_| ())
    };
    report.shape.chat_template =
        sibling_path || folder.has("additional_chat_templates") || inside().is_some();
    if !report.shape.chat_template && !loader.own_tokenizer {
        let hint = "set chat_template to a template's file, unless it serves no chat";
        report.warn(rules::CHAT_TEMPLATE, "", "there is no chat template, so chat is refused", hint);
    }
}

fn check_processor(folder: &Folder<'_>, report: &mut Report) {
    let names = [
        "preprocessor_config.json",
        "processor_config.json",
        "video_preprocessor_config.json",
        "params.json",
    ];
    if report.shape.multimodal && !names.iter().any(|name| folder.has(name)) {
        let what = "it reads images or sound, and nothing says how: there is no preprocessor_config.json";
        report.warn(rules::PROCESSOR, "", what, "bring preprocessor_config.json and processor_config.json");
    }
}

/// Code of its own: in this folder, or in another repository, which is not reached offline.
fn check_own_code(folder: &Folder<'_>, loader: Loader, report: &mut Report) {
    for class in report.shape.own_code.clone() {
        let hint =
            "bring that repository's .py files into this folder, and take what is before -- out of auto_map";
        if let Some((repository, _)) = class.split_once("--") {
            let what = format!("auto_map names code of {repository}, which is not here");
            match loader.runs_code {
                true => report.problem(rules::REMOTE_CODE, "config.json", what, hint),
                false => report.warn(rules::REMOTE_CODE, "config.json", what, hint),
            }
        } else if let Some((module, _)) = class.rsplit_once('.')
            && loader.runs_code
            && !folder.has(&format!("{module}.py"))
        {
            report.problem(
                rules::MODEL_FILES,
                &format!("{module}.py"),
                "No such file or directory",
                FETCH_AGAIN_HINT,
            );
        }
    }
}
