//! iprobe: wait until instances are ready.

fn main() -> std::process::ExitCode {
    iprobe::main()
}
