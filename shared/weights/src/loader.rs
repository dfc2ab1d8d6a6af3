//! Who is to load a model.
use crate::report::Role;

/// Who is to load a model, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loader {
    /// What the model is for.
    pub role: Role,
    /// The engine reads a model folder as transformers does, with its configuration and its tokenizer.
    pub reads_folder: bool,
    /// Another path names the tokenizer, or none is used.
    pub own_tokenizer: bool,
    /// The model's own Python code is to be run.
    pub runs_code: bool,
}
