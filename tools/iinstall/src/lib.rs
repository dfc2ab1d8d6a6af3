//! iinstall: install an engine from an archive, a bundle or the cache, with no network.
//!
//! Reads `env` records, and `cache` for what was verified. Writes one `installed` record per engine, `skipped` where there is nothing to do and nothing to
//! find, `warning` records, and `failed`.
mod args;
mod audit;
mod engine_caches;
mod environment;
mod inherited;
mod lookup;
mod other_user;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod package;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod prepare;
mod request;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod road;
mod sbom;
mod sealed;
mod source;
mod switch;
mod vocabulary;

use args::Args;
use child::User;
use inherited::Inherited;
use record::{Engine, Record};
use request::{Outcome, Request};
use switch::Switch;
use tool::{Code, Failure, Io, vars};

/// Runs the tool with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    tool::main(run)
}

#[expect(clippy::needless_pass_by_value, reason = "tool::main hands the arguments over")]
fn run(args: Args, io: &mut Io) -> Result<tool::Outcome, Failure> {
    let mut inherited = Inherited::receive(&args.inherited).map_err(|error| {
        Failure::io(Code::Usage, "cannot use the descriptors that were handed down", &error)
    })?;
    if args.sbom {
        return write_sbom(io);
    }
    // What is installed may be read by all, whatever umask we were started with.
    rustix::process::umask(rustix::fs::Mode::from(0o022));
    // llama.cpp, the quickest, is begun as its record arrives; the others wait for what icache has to say.
    let (mut later, mut verified) = (Vec::new(), Vec::new());
    while let Some(record) = io.read()? {
        match record {
            Record::Env(env) if io.ended(env.engine) => {}
            Record::Env(env) if env.engine == Engine::LlamaCpp => {
                act(&args, &Request { env: &env, verified: None }, std::mem::take(&mut inherited), io)?;
            }
            Record::Env(env) => later.push(env),
            Record::Cache(cache) => verified.push(cache),
            _ => {}
        }
    }
    for env in &later {
        if !io.ended(env.engine) {
            // Where the cache was mended on the way, the last counts.
            let verified = verified.iter().rfind(|cache| cache.engine == env.engine);
            act(&args, &Request { env, verified }, std::mem::take(&mut inherited), io)?;
        }
    }
    io.require("env", &["ienv"])?;
    Ok(tool::Outcome::Done)
}

/// Write what the one engine of the stream is made of, and no records.
fn write_sbom(io: &mut Io) -> Result<tool::Outcome, Failure> {
    io.mute();
    let mut envs = Vec::new();
    while let Some(record) = io.read()? {
        match record {
            Record::Env(env) if !io.ended(env.engine) => envs.push(env),
            _ => {}
        }
    }
    io.require("env", &["ienv"])?;
    match envs.as_slice() {
        [] => {}
        [env] => io.print(&format!("{:#}\n", sbom::of(env)?))?,
        _ => {
            let cause = "each engine has a bill of materials of its own";
            let what = "cannot write several at once";
            return Err(Failure::new(Code::Usage, what, cause)
                .hint("name one engine, as in: ienv vllm | iinstall --sbom"));
        }
    }
    Ok(tool::Outcome::Done)
}

/// Do for an engine what is asked, and write what came of it.
fn act(args: &Args, request: &Request<'_>, inherited: Inherited, io: &mut Io) -> Result<(), Failure> {
    let engine = request.env.engine;
    let switch = Switch::new(args, request.env, io.name());
    match User::other(request.env.user.as_deref(), &vars::user(engine)) {
        Ok(Some(user)) => {
            audit::of_other_user(args, request.env, io);
            return other_user::act(args, request, &user, io);
        }
        Ok(None) => audit::of_failures(args, request.env, io),
        Err(failure) => return io.fail(engine, failure),
    }
    match request.run(args, &switch, inherited) {
        Ok(Outcome::Installed(mut installed, warnings)) => {
            // What was pruned since is nothing to roll back to.
            installed.previous.take_if(|previous| !owner::exists(previous));
            warnings.into_iter().try_for_each(|warning| io.warn(warning))?;
            io.write(*installed)
        }
        Ok(Outcome::Nothing(why, warning)) => {
            warning.into_iter().try_for_each(|warning| io.warn(warning))?;
            io.skip(engine, why)
        }
        Err(failure) => io.fail(engine, failure),
    }
}
