//! The engine ids of the wire and of command lines.
use serde::{Deserialize, Serialize};

/// Which engine a record speaks of. The bridge is kept and probed like an engine, so it has an id too.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// llama.cpp's `llama-server`. First, because it is the quickest to bring up.
    LlamaCpp,
    /// vLLM's OpenAI-compatible server.
    Vllm,
    /// SGLang's server.
    Sglang,
    /// infer-dev's own bridge for Claude Code.
    Bridge,
}

impl Engine {
    /// The engines proper, in the order in which every tool lists them.
    pub const ENGINES: [Self; 3] = [Self::LlamaCpp, Self::Vllm, Self::Sglang];

    /// The id, as it stands on the wire and on command lines.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama-cpp",
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::Bridge => "bridge",
        }
    }

    /// The part of the engine's `AUTO_INFER_*` variables that names it.
    #[must_use]
    pub fn variable_part(self) -> &'static str {
        match self {
            Self::LlamaCpp => "LLAMA_CPP",
            Self::Vllm => "VLLM",
            Self::Sglang => "SGLANG",
            Self::Bridge => "BRIDGE",
        }
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.id())
    }
}

impl std::str::FromStr for Engine {
    type Err = String;

    fn from_str(id: &str) -> Result<Self, String> {
        [Self::LlamaCpp, Self::Vllm, Self::Sglang, Self::Bridge]
            .into_iter()
            .find(|engine| engine.id() == id)
            .ok_or_else(|| format!("no engine '{id}'; the engines are llama-cpp, vllm, sglang"))
    }
}
