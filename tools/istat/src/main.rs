//! istat: show what is running.

fn main() -> std::process::ExitCode {
    istat::main()
}
