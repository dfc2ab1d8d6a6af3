//! iplan: plan every instance of a TOML file, checked, nothing started.

fn main() -> std::process::ExitCode {
    iplan::main()
}
