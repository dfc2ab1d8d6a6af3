//! The types of tensors: their names and how many bytes they take.

/// A type of safetensors: its name and its bits per element.
/// Source: the enum `Dtype` of the reference implementation, github.com/huggingface/safetensors.
const SAFETENSORS: [(&str, u64); 23] = [
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
    ("C128", 128),
];

/// Name and bits per element of a type of safetensors.
pub(crate) fn safetensors(name: &str) -> Option<(&'static str, u64)> {
    SAFETENSORS.iter().find(|(known, _)| *known == name).copied()
}

/// A type of GGUF: name, elements per block, bytes per block.
pub(crate) type Block = (&'static str, u64, u64);

/// The types of GGUF by their numbers; `None` for those that llama.cpp has removed.
/// Source: `ggml.h` and `ggml-common.h` of github.com/ggml-org/ggml.
const GGUF: [Option<Block>; 41] = [
    Some(("F32", 1, 4)),
    Some(("F16", 1, 2)),
    Some(("Q4_0", 32, 18)),
    Some(("Q4_1", 32, 20)),
    None,
    None,
    Some(("Q5_0", 32, 22)),
    Some(("Q5_1", 32, 24)),
    Some(("Q8_0", 32, 34)),
    Some(("Q8_1", 32, 36)),
    Some(("Q2_K", 256, 84)),
    Some(("Q3_K", 256, 110)),
    Some(("Q4_K", 256, 144)),
    Some(("Q5_K", 256, 176)),
    Some(("Q6_K", 256, 210)),
    Some(("Q8_K", 256, 292)),
    Some(("IQ2_XXS", 256, 66)),
    Some(("IQ2_XS", 256, 74)),
    Some(("IQ3_XXS", 256, 98)),
    Some(("IQ1_S", 256, 50)),
    Some(("IQ4_NL", 32, 18)),
    Some(("IQ3_S", 256, 110)),
    Some(("IQ2_S", 256, 82)),
    Some(("IQ4_XS", 256, 136)),
    Some(("I8", 1, 1)),
    Some(("I16", 1, 2)),
    Some(("I32", 1, 4)),
    Some(("I64", 1, 8)),
    Some(("F64", 1, 8)),
    Some(("IQ1_M", 256, 56)),
    Some(("BF16", 1, 2)),
    None,
    None,
    None,
    Some(("TQ1_0", 256, 54)),
    Some(("TQ2_0", 256, 66)),
    None,
    None,
    None,
    Some(("MXFP4", 32, 17)),
    Some(("NVFP4", 64, 36)),
];

/// What a number means as a type of GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GgufType {
    /// A type that we know.
    Known(Block),
    /// No engine has it any more.
    Removed,
    /// Newer than this table: its size is not known.
    Unknown,
}

pub(crate) fn gguf(number: u32) -> GgufType {
    match usize::try_from(number).ok().and_then(|number| GGUF.get(number)) {
        Some(Some(block)) => GgufType::Known(*block),
        Some(None) => GgufType::Removed,
        None => GgufType::Unknown,
    }
}
