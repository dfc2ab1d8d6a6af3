//! What `imodel` says: `model`.
use crate::Engine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Model weights were checked from their headers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Model {
    /// The engine that is to load it; absent where no plan named it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub engine: Option<Engine>,
    /// The instance that is to load it; absent where no plan named it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// What it is to the instance: `model`, `draft`, `mmproj`, `lora` or `tokenizer`.
    pub role: String,
    /// The file or folder.
    pub path: PathBuf,
    /// `gguf`, `safetensors`, `pytorch`, or `none` where there are no weights.
    pub format: String,
    /// Files of weights that belong to it.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Tensors in them.
    pub tensors: u64,
    /// Elements of those.
    pub parameters: u64,
    /// Nothing is missing or short.
    pub complete: bool,
    /// What is.
    pub problems: Vec<String>,
    /// What the tensors hold, by the format's name of the type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub types: BTreeMap<String, TypeUse>,
    /// Architecture, in the words of the model's configuration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub architecture: Option<String>,
    /// Layers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layers: Option<u64>,
    /// Attention heads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heads: Option<u64>,
    /// Heads of keys and values.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kv_heads: Option<u64>,
    /// The longest context that the model was made for, in tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub context_length: Option<u64>,
    /// GPUs over which the plan spreads one copy.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gpus: Option<u64>,
    /// Bytes of weights on each of those, were they spread evenly.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gpu_bytes: Option<u64>,
    /// An estimate of what 1,000 tokens of context take, over all GPUs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kv_bytes_per_1000_tokens: Option<u64>,
    /// The manifest that was written, or that the files were compared with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manifest: Option<PathBuf>,
    /// The signature that the files were compared with, where it is one of a key that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<PathBuf>,
    /// Bytes that were read to hash them; absent where nothing was hashed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hashed_bytes: Option<u64>,
    /// Time taken.
    pub seconds: f64,
}

/// How much of a model is of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TypeUse {
    /// Tensors.
    pub tensors: u64,
    /// Their elements.
    pub parameters: u64,
    /// Their bytes.
    pub bytes: u64,
}
