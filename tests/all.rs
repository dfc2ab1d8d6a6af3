//! Every tool and every pipeline, run as a user runs them: one file per tool, one test binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(clippy::print_stdout, reason = "a test says what it cannot run, and its seed")]
#![expect(clippy::disallowed_methods, reason = "tests make their own files, and plant others")]
mod boundary;
mod bounds;
mod container;
mod differ;
mod engines;
mod entry;
mod fuzz;
mod gpu;
mod helpers;
mod hints;
mod ibridge;
mod icache;
mod ichat;
mod ienv;
mod iinstall;
mod ijoin;
mod ikeep;
mod ilaunch;
mod imodel;
mod ipack;
mod iplan;
mod iprobe;
mod ireport;
mod iseal;
mod isplit;
mod istat;
mod istop;
mod iwarm;
mod kit;
mod messages;
mod pages;
mod people;
mod pipeline;
mod quickstart;
mod soak;
mod standin;
#[path = "../shared/messages/tests/strict.rs"]
mod strict;
mod templates;
mod tree;
mod verbose;
mod wire;
