//! istop: stop instances.

fn main() {}
