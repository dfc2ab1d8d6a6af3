//! Whether the model is where the arguments say, as far as its name goes.
use crate::draft::Draft;
use config::rules;
use engine::Weights;
use failure::{Code, Failure};
use std::path::Path;

/// An absolute path has to be there, and be what the engine loads: a file or a folder.
pub(crate) fn check(draft: &mut Draft) {
    let profile = engine::of(draft.plan.engine);
    let named = draft.plan.model.clone();
    let Some(model) = named.clone().filter(|model| !model.trim().is_empty()) else {
        if named.is_some() || !draft.model_elsewhere {
            let what = format!("instance {} names no model", draft.plan.instance);
            let how = if named.is_some() { "empty" } else { "not set" };
            let cause = format!("server.{} is {how}", profile.model.replace('-', "_"));
            draft.object(rules::MODEL_UNSET, Failure::new(Code::Input, what, cause));
        }
        return;
    };
    let path = Path::new(&model);
    if !path.is_absolute() {
        let what = format!("model '{model}' of {} is not an absolute path", draft.plan.instance);
        let hint = if model.starts_with('~') {
            "'~' is not expanded here; write the whole path, from /"
        } else {
            "offline it is found only if the engine's own cache has it"
        };
        draft.warn(rules::MODEL_NOT_LOCAL, what, hint);
        return;
    }
    let what = format!("model {model} of instance {}", draft.plan.instance);
    let hint = format!("correct server.{}, or mount the model there", profile.model.replace('-', "_"));
    match owner::metadata(path) {
        Err(error) => {
            draft.object(rules::MODEL_MISSING, Failure::io(Code::Unmet, what, &error).hint(hint));
        }
        Ok(meta) if meta.is_dir() && profile.weights == Weights::File => {
            let hint = "name the .gguf file in it, the first shard where there are several";
            draft.object(rules::MODEL_MISSING, Failure::new(Code::Unmet, what, "Is a directory").hint(hint));
        }
        Ok(meta) if meta.is_file() && profile.weights == Weights::Folder && !is_gguf(path) => {
            let folder = path.parent().unwrap_or(Path::new("/")).display();
            let hint = format!("name the folder with config.json and the weights: {folder}");
            draft.object(rules::MODEL_MISSING, Failure::new(Code::Unmet, what, "Not a directory").hint(hint));
        }
        Ok(_) => {}
    }
}

/// The one format of a single file that these engines take.
fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}
