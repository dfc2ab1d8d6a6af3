//! istat: tell what is running.

fn main() {}
