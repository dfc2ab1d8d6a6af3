//! Completions for shells: what a tool offers is read from its own command line, as its help is, so that they cannot part.
//!
//! With `INFER_DEV_COMPLETE` set to a shell's name, a tool does nothing but this: without `--` it writes what the shell reads
//! at its start, and that asks the tool again, with the words of the line after `--`.
use crate::vars;
use clap_complete::env::{Bash, EnvCompleter, Fish, Shells, Zsh};
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate};
use record::Engine;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

/// Whether it was completions that this process was started for; they are written then.
pub(crate) fn handle_completion(command: &clap::Command, name: &'static str) -> clap::error::Result<bool> {
    // The shell finds the tool as it finds it for the line itself.
    CompleteEnv::with_factory(|| command.clone())
        .var(vars::INFER_DEV_COMPLETE)
        .completer(name)
        .shells(Shells(&[&Bash, &AutoloadedZsh, &Fish]))
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref())
}

/// Offer the engines for a value.
#[must_use]
pub fn engines() -> ArgValueCandidates {
    of(|| Engine::ENGINES.map(|engine| engine.id().to_owned()).to_vec())
}

/// Offer these words for a value; they are looked up when the shell asks.
#[must_use]
pub fn of(words: fn() -> Vec<String>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || words().into_iter().map(CompletionCandidate::new).collect())
}

/// zsh's completions from a folder in `fpath`. zsh loads such a file at the first Tab, as the body of the function that it
/// calls for that Tab: what it only registers answers from the second Tab on.
struct AutoloadedZsh;

impl EnvCompleter for AutoloadedZsh {
    fn name(&self) -> &'static str {
        Zsh.name()
    }

    fn is(&self, name: &str) -> bool {
        Zsh.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        Zsh.write_registration(var, name, bin, completer, out)?;
        writeln!(out, "[[ $funcstack[1] != _{bin} ]] || _clap_dynamic_completer_{name}")
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        current_dir: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        Zsh.write_complete(command, words, current_dir, out)
    }
}
