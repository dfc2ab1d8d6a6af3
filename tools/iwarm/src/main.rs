//! iwarm: fill a cache through pixi, on a connected machine.

fn main() -> std::process::ExitCode {
    iwarm::main()
}
