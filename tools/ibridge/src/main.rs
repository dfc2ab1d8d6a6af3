//! ibridge: let Claude Code and OpenAI clients use the local engines.

fn main() -> std::process::ExitCode {
    ibridge::main()
}
