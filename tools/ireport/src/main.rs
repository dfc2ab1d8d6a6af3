//! ireport: make a report of a saved stream: the evidence of a run.

fn main() -> std::process::ExitCode {
    ireport::main()
}
