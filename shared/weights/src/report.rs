//! What was found of one model.
use crate::config::Shape;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// As many findings as anybody reads.
const FINDINGS: usize = 1000;

/// What a model is to the instance that loads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What it serves.
    Model,
    /// What guesses ahead of it.
    Draft,
    /// What reads images for it.
    Mmproj,
    /// What changes it.
    Lora,
    /// What splits text for it.
    Tokenizer,
}

impl Role {
    /// The id on the wire.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Draft => "draft",
            Self::Mmproj => "mmproj",
            Self::Lora => "lora",
            Self::Tokenizer => "tokenizer",
        }
    }
}

/// How the weights are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// llama.cpp's.
    Gguf,
    /// Hugging Face's.
    Safetensors,
    /// Pickles and archives of PyTorch: what is in them is not read.
    Pytorch,
    /// There are none.
    None,
}

impl Format {
    /// The id on the wire.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Pytorch => "pytorch",
            Self::None => "none",
        }
    }
}

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tensors.
    pub tensors: u64,
    /// Their elements.
    pub parameters: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, parameters: u64, bytes: u64) {
        self.tensors += 1;
        self.parameters = self.parameters.saturating_add(parameters);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Amounts by the name of a type.
pub(crate) type TotalsByType = BTreeMap<&'static str, Totals>;

/// An error or a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its rule, one of [`crate::rules`].
    pub rule: &'static str,
    /// The file in the model's folder; empty where it concerns the whole.
    pub file: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.file.as_str() {
            "" => out.write_str(&self.what),
            file => write!(out, "{file}: {}", self.what),
        }
    }
}

/// All that one look has found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was looked at.
    pub path: PathBuf,
    /// How the weights are written.
    pub format: Format,
    /// Files of weights.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// What their tensors are.
    pub types: BTreeMap<String, Totals>,
    /// What the configuration says.
    pub shape: Shape,
    /// What keeps an engine from loading it, or from loading all of it.
    pub problems: Vec<Finding>,
    /// What an operator should know.
    pub warnings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            format: Format::None,
            files: 0,
            bytes: 0,
            types: BTreeMap::new(),
            shape: Shape::default(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// All tensors, with their elements and bytes.
    #[must_use]
    pub fn total(&self) -> Totals {
        self.types.values().fold(Totals::default(), |sum, one| Totals {
            tensors: sum.tensors.saturating_add(one.tensors),
            parameters: sum.parameters.saturating_add(one.parameters),
            bytes: sum.bytes.saturating_add(one.bytes),
        })
    }

    pub(crate) fn problem(
        &mut self,
        rule: &'static str,
        file: &str,
        what: impl Into<String>,
        hint: &'static str,
    ) {
        if self.problems.len() < FINDINGS {
            self.problems.push(Finding { rule, file: file.to_owned(), what: what.into(), hint });
        }
    }

    pub(crate) fn warn(
        &mut self,
        rule: &'static str,
        file: &str,
        what: impl Into<String>,
        hint: &'static str,
    ) {
        if self.warnings.len() < FINDINGS {
            self.warnings.push(Finding { rule, file: file.to_owned(), what: what.into(), hint });
        }
    }

    /// A file of weights belongs to the model.
    pub(crate) fn count_file(&mut self, size: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    pub(crate) fn count(&mut self, totals: &TotalsByType) {
        for (name, amount) in totals {
            let sum = self.types.entry((*name).to_owned()).or_default();
            sum.tensors = sum.tensors.saturating_add(amount.tensors);
            sum.parameters = sum.parameters.saturating_add(amount.parameters);
            sum.bytes = sum.bytes.saturating_add(amount.bytes);
        }
    }
}
