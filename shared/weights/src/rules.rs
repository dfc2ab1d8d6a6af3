//! The ids of all that is found, for `control.allow`.

/// A file or a tensor that belongs to the model is not there.
pub const WEIGHTS_MISSING: &str = "weights_missing";
/// A file of weights is cut off, or is not what its header says.
pub const WEIGHTS_DAMAGED: &str = "weights_damaged";
/// A file is not what the manifest says.
pub const WEIGHTS_CHANGED: &str = "weights_changed";
/// A pointer of git-lfs lies in the place of a file.
pub const WEIGHTS_POINTER: &str = "weights_pointer";
/// A file that the engine needs beside the weights is missing or damaged.
pub const MODEL_FILES: &str = "model_files";
/// The model is not signed with the key that is asked for, or is not what was signed.
pub const MODEL_SIGNATURE: &str = "model_signature";
/// The path does not lead to a model of the kind that is asked for.
pub const MODEL_LAYOUT: &str = "model_layout";
/// The path cannot be read.
pub const MODEL_UNREADABLE: &str = "model_unreadable";
/// The weights are larger than the memory of the GPUs that they are to be on.
pub const WEIGHTS_MEMORY: &str = "weights_memory";
/// A warning: a file of weights has holes.
pub const WEIGHTS_SPARSE: &str = "weights_sparse";
/// A warning: a download has left unfinished files.
pub const WEIGHTS_LEFTOVER: &str = "weights_leftover";
/// A warning: a tensor is in two files.
pub const WEIGHTS_DUPLICATE: &str = "weights_duplicate";
/// A warning: it is unknown whether the weights are whole.
pub const WEIGHTS_UNCHECKED: &str = "weights_unchecked";
/// A warning: chat has no template.
pub const CHAT_TEMPLATE: &str = "chat_template";
/// A warning: nothing says how images are read.
pub const PROCESSOR: &str = "processor";
/// A warning: code of another repository is named.
pub const REMOTE_CODE: &str = "remote_code";

/// All of them.
pub const ALL: [&str; 16] = [
    CHAT_TEMPLATE,
    MODEL_FILES,
    MODEL_LAYOUT,
    MODEL_SIGNATURE,
    MODEL_UNREADABLE,
    PROCESSOR,
    REMOTE_CODE,
    WEIGHTS_CHANGED,
    WEIGHTS_DAMAGED,
    WEIGHTS_DUPLICATE,
    WEIGHTS_LEFTOVER,
    WEIGHTS_MEMORY,
    WEIGHTS_MISSING,
    WEIGHTS_POINTER,
    WEIGHTS_SPARSE,
    WEIGHTS_UNCHECKED,
];
