//! Every tool and every pipeline, run as a user runs them: one file per tool, one test binary.
//!
//! What users of the engines have reported, and the tools once got wrong, is tested by its kind:
//! - lists and numbers that a parser reads otherwise, short and dotted keys, flags that are gone, `false` that was lost:
//!   `iplan::spoken`, and every option in `iplan::walk`, `iplan::walk_llama` and `engines::flags`
//! - TLS, prefixes, routers and their presets, servers that are not ours: `iprobe::addresses`, `iplan::address`
//! - hosts that are none, values that mean nothing: `hints`; files that flags name, GPUs by UUID: `iplan::named`
//! - a uid that nobody knows, noexec, nothing to write on but a volume: `pipeline::written`; limits of threads: `bounds`
//! - shapes of archives: `iinstall` and its own `package::layout`; pyproject.toml: `icache::locks`, `iinstall::place`
//! - what another user has installed: `iinstall::crossing`
//! - why an engine ended: `ikeep::cause`, `engines::failing`, and the logs in `data/logs`, read by `shared/diagnose`
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(clippy::print_stdout, reason = "a test says what it cannot run, and its seed")]
#![expect(clippy::disallowed_methods, reason = "tests make their own files, and plant others")]
mod audit;
mod boundary;
mod bounds;
mod completions;
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
mod install;
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
mod package;
mod pages;
mod people;
mod pipeline;
mod quickstart;
mod schema;
mod shown;
mod soak;
mod standin;
#[path = "../shared/messages/tests/strict.rs"]
mod strict;
mod templates;
mod tree;
mod verbose;
mod wire;
