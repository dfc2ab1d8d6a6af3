//! ienv: resolve the environment contract.

fn main() -> std::process::ExitCode {
    ienv::main()
}
