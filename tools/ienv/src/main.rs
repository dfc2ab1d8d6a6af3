//! ienv: resolve the environment contract.

fn main() {}
