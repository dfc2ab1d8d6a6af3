//! ilaunch: start every planned instance under a keeper.

fn main() -> std::process::ExitCode {
    ilaunch::main()
}
