//! iprobe: wait until instances are ready.

fn main() {}
