//! ipack: build a bundle from a pixi project, on a connected machine.

fn main() -> std::process::ExitCode {
    ipack::main()
}
