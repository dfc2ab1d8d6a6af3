//! The options that an engine's own parser knows.
//!
//! Flags change with every version of an engine, so the engine is asked: llama.cpp by the text of `llama-server --help`, vLLM
//! and SGLang by their argument parsers, which a script writes out. Owns that script, the reading of both answers, the file that
//! keeps them, and finding a flag by any of its spellings. Nothing here knows what a value means to us.
mod argparse;
mod ask;
mod find;
mod flag;
mod help;
mod meaning;

pub use argparse::DUMP;
pub use ask::Speaker;
pub use flag::{Arity, Flag, List, Type};

use serde::{Deserialize, Serialize};
use std::io;

/// The file beside an install's `installed.json`.
pub const FILE: &str = "vocabulary.json";
/// The largest answer and file that is read, in bytes: ten times what the longest engine writes.
pub const MAX_BYTES: usize = 8 << 20;

/// Which answer the options were read from: each kind of parser has rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parser {
    /// llama.cpp's own. It takes every token after a flag that needs a value for that value, and has no `--flag=value`.
    LlamaCpp,
    /// Python's argparse.
    Argparse,
}

/// All options of one engine, of one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// The format of the file: 1.
    pub format: u32,
    /// Whose rules hold.
    pub parser: Parser,
    /// In the order of the answer.
    pub flags: Vec<Flag>,
}

impl Vocabulary {
    /// Read what `llama-server --help` writes; `None` where that is no list of options.
    #[must_use]
    pub fn of_help(text: &str) -> Option<Self> {
        Self::of(Parser::LlamaCpp, help::read(text))
    }

    /// Read what [`DUMP`] writes; `None` where that is no list of options.
    #[must_use]
    pub fn of_dump(text: &str) -> Option<Self> {
        Self::of(Parser::Argparse, argparse::read(text)?)
    }

    /// A list that lacks the port is not a server's.
    fn of(parser: Parser, flags: Vec<Flag>) -> Option<Self> {
        let vocabulary = Self { format: 1, parser, flags };
        vocabulary.find("--port").is_some().then_some(vocabulary)
    }

    /// Read the file's content.
    ///
    /// # Errors
    /// The content is no vocabulary, or of a format that is not 1.
    pub fn from_json(bytes: &[u8]) -> io::Result<Self> {
        let vocabulary: Self = serde_json::from_slice(bytes)?;
        match vocabulary.format {
            1 => Ok(vocabulary),
            other => Err(io::Error::new(io::ErrorKind::InvalidData, format!("format {other}, not 1"))),
        }
    }

    /// The file's content.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
