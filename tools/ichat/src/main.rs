//! ichat: get one real chat completion.

fn main() -> std::process::ExitCode {
    ichat::main()
}
