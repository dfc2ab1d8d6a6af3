//! iseal: run a command that cannot reach the network.

fn main() -> std::process::ExitCode {
    iseal::main()
}
