//! icache: verify a cache against `pixi.lock`, naming every gap.

fn main() -> std::process::ExitCode {
    icache::main()
}
