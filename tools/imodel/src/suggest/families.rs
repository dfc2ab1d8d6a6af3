//! What each family of models needs of its engine: parsers of tool calls and of reasoning.
//!
//! The names are those of vLLM 0.32 and SGLang 0.5.23; the links are where each engine says which family needs which.

/// A family, and the arguments that its engine needs.
pub(crate) struct Family {
    /// `model_type` of its configuration.
    pub(crate) model_type: &'static str,
    /// A part of the folder's name, in lower case, that sets it apart from others of that type; empty: any.
    pub(crate) named: &'static str,
    /// vLLM's parsers of tool calls and of reasoning; empty: none.
    pub(crate) vllm: (&'static str, &'static str),
    /// SGLang's.
    pub(crate) sglang: (&'static str, &'static str),
}

/// Where vLLM says so: tool calls, reasoning.
pub(crate) const VLLM: (&str, &str) = (
    "https://docs.vllm.ai/en/latest/features/tool_calling.html",
    "https://docs.vllm.ai/en/latest/features/reasoning_outputs.html",
);
/// Where SGLang says so.
pub(crate) const SGLANG: (&str, &str) = (
    "https://docs.sglang.ai/advanced_features/tool_parser.html",
    "https://docs.sglang.ai/advanced_features/separate_reasoning.html",
);

const fn family(
    (model_type, named): (&'static str, &'static str),
    vllm: (&'static str, &'static str),
    sglang: (&'static str, &'static str),
) -> Family {
    Family { model_type, named, vllm, sglang }
}

/// The first that fits holds.
pub(crate) const FAMILIES: [Family; 30] = [
    family(("deepseek_v3", "v3.1"), ("deepseek_v31", "deepseek_v3"), ("deepseekv31", "deepseek-v3")),
    family(("deepseek_v3", "r1"), ("deepseek_v3", "deepseek_r1"), ("deepseekv3", "deepseek-r1")),
    family(("deepseek_v3", "kimi"), ("kimi_k2", "kimi_k2"), ("kimi_k2", "kimi_k2")),
    family(("deepseek_v3", "v3"), ("deepseek_v3", ""), ("deepseekv3", "")),
    family(("deepseek_v32", ""), ("deepseek_v32", "deepseek_v3"), ("deepseekv32", "deepseek-v3")),
    family(("ernie4_5_moe", ""), ("ernie45", "ernie45"), ("", "")),
    family(("gemma4", ""), ("gemma4", "gemma4"), ("gemma4", "gemma4")),
    family(("glm4_moe", "4.7"), ("glm47", "glm45"), ("glm47", "glm45")),
    family(("glm4_moe", "4.6"), ("glm45", "glm45"), ("glm45", "glm45")),
    family(("glm4_moe", "4.5"), ("glm45", "glm45"), ("glm45", "glm45")),
    family(("gpt_oss", ""), ("openai", "openai_gptoss"), ("gpt-oss", "gpt-oss")),
    family(("granite", ""), ("granite", "granite"), ("", "")),
    family(("granitemoehybrid", ""), ("hermes", ""), ("", "")),
    family(("hunyuan_v1_moe", ""), ("hunyuan_a13b", "hunyuan_a13b"), ("hunyuan", "hunyuan")),
    family(("kimi_k2", ""), ("kimi_k2", "kimi_k2"), ("kimi_k2", "kimi_k2")),
    family(("llama4", ""), ("llama4_pythonic", ""), ("pythonic", "")),
    family(("llama", "llama-3."), ("llama3_json", ""), ("llama3", "")),
    family(("minimax_m2", ""), ("minimax_m2", "minimax_m2"), ("minimax-m2", "minimax")),
    family(("mistral", ""), ("mistral", ""), ("mistral", "")),
    family(("mistral3", ""), ("mistral", ""), ("mistral", "")),
    family(("qwen2", ""), ("hermes", ""), ("qwen", "")),
    family(("qwen2_vl", ""), ("hermes", ""), ("qwen", "")),
    family(("qwen2_5_vl", ""), ("hermes", ""), ("qwen", "")),
    family(("qwen3", ""), ("hermes", "qwen3"), ("qwen", "qwen3")),
    family(("qwen3_moe", "coder"), ("qwen3_coder", ""), ("qwen3_coder", "")),
    family(("qwen3_moe", ""), ("hermes", "qwen3"), ("qwen", "qwen3")),
    family(("qwen3_next", ""), ("hermes", "qwen3"), ("qwen", "qwen3")),
    family(("qwen3_vl", ""), ("hermes", "qwen3"), ("qwen", "qwen3")),
    family(("seed_oss", ""), ("seed_oss", "seed_oss"), ("", "")),
    family(("step3", ""), ("step3", "step3"), ("step3", "step3")),
];

/// The family of a model by its type and by the name of its folder.
pub(crate) fn find(model_type: &str, name: &str) -> Option<&'static Family> {
    let name = name.to_ascii_lowercase();
    FAMILIES.iter().find(|family| family.model_type == model_type && name.contains(family.named))
}
