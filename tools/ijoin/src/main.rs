//! ijoin: join the parts of a split file, naming every bad one.

fn main() -> std::process::ExitCode {
    ijoin::main()
}
