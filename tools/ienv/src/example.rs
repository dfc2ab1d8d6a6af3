//! A TOML file to start from: every key of ours, and what holds where nothing is said.
use record::Engine;

const CONTROL: &str = include_str!("example/control.toml");

/// The file for one engine; the bridge has none.
pub(crate) fn of(engine: Engine) -> Option<String> {
    let own = match engine {
        Engine::LlamaCpp => include_str!("example/llama-cpp.toml"),
        Engine::Vllm => include_str!("example/vllm.toml"),
        Engine::Sglang => include_str!("example/sglang.toml"),
        Engine::Bridge => return None,
    };
    Some(format!("{own}{CONTROL}"))
}
