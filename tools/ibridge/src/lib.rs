//! ibridge: let Claude Code and OpenAI clients use the local engines.
//!
//! Reads no records. Listens on one address and hands each request to the instance that its `model` names; `env` prints what
//! clients need to find it, `run` starts one of them.
mod access;
mod address;
mod admin;
mod anthropic;
mod body;
mod bridge;
mod caller;
mod client;
mod client_config;
mod connection;
mod conversations;
mod counting;
mod discovery;
mod forward;
mod journal;
mod metrics;
mod models;
mod native;
mod page;
mod passthrough;
mod pool;
mod prefix_check;
mod refusal;
mod relay;
mod reply;
mod routing;
mod server;
mod service;
mod settings;
mod stored_responses;
mod upstream;

use clap::Parser;
use client::{Env, Run};
use settings::{Options, Settings};
use tool::Failure;

#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Args {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print what clients need to find the bridge: by default exports for Claude Code
    Env(Env),
    /// Run a command that finds it, as in: ibridge run claude -p Hello
    Run(Run),
}

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main_process(run)
}

fn run(args: Args) -> Result<u8, Failure> {
    match args.command {
        None => server::serve(Settings::resolve(args.options)?),
        Some(Command::Env(env)) => env.print(),
        Some(Command::Run(run)) => run.run(),
    }
}
