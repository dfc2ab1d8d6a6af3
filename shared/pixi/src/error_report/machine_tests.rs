//! What pixi says of a machine that is not as it should be.
use super::tests::{reads, why};
use super::*;

#[test]
fn a_platform_of_the_workspace_that_this_machine_is_not() {
    // pixi_core/src/workspace/errors.rs:55-135.
    reads(
        "\
Error: unsupported-platform

  × The workspace does not support 'linux-64' on this machine.
  │
  │ Declared platforms and why none runs here:
  │   - p1 (subdir linux-64): missing virtual packages: __cuda >=
  │ 12.8
  │
  │ Add it with 'pixi workspace platform add linux-64'.
  help: Mock the missing virtual packages via the environment, e.g.:
          CONDA_OVERRIDE_CUDA=12.8
        Or install for a target this machine cannot run with `pixi install
        --platform <platform>`.
",
        Kind::Virtual("cuda".to_owned()),
        "The workspace does not support 'linux-64' on this machine. Declared platforms and why none runs here: - p1 (subdir \
         linux-64): missing virtual packages: __cuda >= 12.8",
    );
    let named = "\
Error:   × the environment 'gpu' does not support 'linux-64' on this machine.
  │ Unsatisfied requirements: __glibc >= 2.99
";
    assert_eq!(why(named).kind, Kind::Virtual("glibc".to_owned()));
}

#[test]
fn a_path_that_is_too_long() {
    let said = "Error: failed to link package\n\nCaused by:\n    target prefix cannot be longer than the placeholder prefix\n";
    assert_eq!(why(said).kind, Kind::LongPath);
}
