//! ikeep: keep one instance of an engine.

fn main() {}
