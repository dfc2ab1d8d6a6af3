//! iplan: plan every instance of a TOML file, checked, nothing started.

fn main() {}
