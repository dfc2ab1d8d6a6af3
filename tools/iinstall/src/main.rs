//! iinstall: install an engine from an archive, a bundle or the cache, with no network.

fn main() -> std::process::ExitCode {
    iinstall::main()
}
