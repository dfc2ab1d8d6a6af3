//! A TOML file to start from: every key of ours, and what holds where nothing is said.
use record::Engine;

const CONTROL: &str = include_str!("example/control.toml");

/// The file for one engine; the bridge has none. Where the suite is installed an editor is told the file's schema.
pub(crate) fn of(engine: Engine) -> Option<String> {
    let own = match engine {
        Engine::LlamaCpp => include_str!("example/llama-cpp.toml"),
        Engine::Vllm => include_str!("example/vllm.toml"),
        Engine::Sglang => include_str!("example/sglang.toml"),
        Engine::Bridge => return None,
    };
    let schema = installed_schema(engine).map(|path| format!("#:schema {path}\n")).unwrap_or_default();
    Some(format!("{schema}{own}{CONTROL}"))
}

/// The schema that scripts/install has put beside the program: `PREFIX/share/infer-dev/schema`.
fn installed_schema(engine: Engine) -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let prefix = program.parent()?.parent()?;
    let schema = prefix.join("share/infer-dev/schema").join(format!("{engine}.json"));
    schema.to_str().filter(|_| owner::is_file(&schema)).map(str::to_owned)
}
