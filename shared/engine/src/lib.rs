//! What differs between the engines, one file per engine.
//!
//! Owns tables of facts: how each engine names, writes and repeats its arguments, where it takes a secret, which port and
//! patience it has, how its health is asked. Nothing here reads a file, starts a process or opens a socket.
mod bridge;
mod flag;
mod llama_cpp;
mod named;
mod profile;
mod sglang;
mod vllm;

pub use named::Flags;
pub use profile::{
    Activity, BusySwitch, FileSyntax, ListSyntax, ModelRole, ModelSyntax, Probe, Profile, Tls, Unusable,
    Weights,
};

/// The facts of one engine.
#[must_use]
pub fn of(engine: record::Engine) -> &'static Profile {
    match engine {
        record::Engine::LlamaCpp => &llama_cpp::PROFILE,
        record::Engine::Vllm => &vllm::PROFILE,
        record::Engine::Sglang => &sglang::PROFILE,
        record::Engine::Bridge => &bridge::PROFILE,
    }
}
