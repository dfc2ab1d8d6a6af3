//! isplit: cut a large file into checked parts for physical media.

fn main() -> std::process::ExitCode {
    isplit::main()
}
