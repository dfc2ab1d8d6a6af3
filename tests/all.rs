//! Every tool and every pipeline, run as a user runs them: one file per tool, one test binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod ienv;
mod ikeep;
mod ilaunch;
mod kit;
mod pipeline;
mod tree;
mod wire;
