//! imodel: check model weights from their headers, before anything is loaded.

fn main() -> std::process::ExitCode {
    imodel::main()
}
