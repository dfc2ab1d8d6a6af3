//! ikeep: keep one instance of an engine.

fn main() -> std::process::ExitCode {
    ikeep::main()
}
