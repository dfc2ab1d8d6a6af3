//! istop: stop instances.

fn main() -> std::process::ExitCode {
    istop::main()
}
