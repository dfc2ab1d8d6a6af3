//! ichat: get one real chat completion.

fn main() {}
