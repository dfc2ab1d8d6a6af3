//! iinstall: install an engine from an archive, a bundle or the cache, with no network.
//!
//! Reads `env` records, and `cache` for what was verified. Writes one `installed` record per engine, `skipped` where there is nothing to do and nothing to
//! find, `warning` records, and `failed`.
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod archive;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod bundle;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod cache;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod copy;
mod environment;
mod handed;
mod lookup;
mod other_user;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod package;
#[expect(clippy::disallowed_methods, reason = "runs as the user who installs")]
mod prepare;
mod road;
mod sealed;
mod source;
mod vocabulary;
mod written;

use child::User;
use handed::Handed;
use record::{Cache, Engine, Env, Installed, Record, Road, Step, Warning};
use road::Order;
use std::path::Path;
use std::time::{Duration, Instant};
use tool::{Code, Failure, Io, Outcome, vars};

#[derive(clap::Parser)]
#[command(version, about)]
struct Args {
    /// Hash the archive again even where it looks as it did
    #[arg(long)]
    rehash: bool,
    /// Flip back to the install that was current before
    #[arg(long, conflicts_with = "rehash")]
    rollback: bool,
    /// Previous installs to keep
    #[arg(long, value_name = "N", default_value_t = 1)]
    keep: usize,
    /// How long to wait for another iinstall on the same folder
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    /// Let a bundle's script that we cannot read run itself, sealed
    #[arg(long)]
    run_sh: bool,
    /// Make the install directory, copy the template into it, and install nothing
    #[arg(long, conflicts_with_all = ["rehash", "rollback", "run_sh"])]
    prepare: bool,
    /// Fail where nothing says what to install, whatever is installed already
    #[arg(long, conflicts_with = "rollback")]
    insist: bool,
    #[command(flatten)]
    handed: handed::Descriptors,
}

impl Args {
    /// The same for ourselves as another user.
    fn handed_down(&self, handed: &Handed) -> Vec<String> {
        let mut args = vec![format!("--keep={}", self.keep), format!("--wait={}", self.wait)];
        args.extend(self.rehash.then(|| "--rehash".to_owned()));
        args.extend(self.rollback.then(|| "--rollback".to_owned()));
        args.extend(self.run_sh.then(|| "--run-sh".to_owned()));
        args.extend(self.prepare.then(|| "--prepare".to_owned()));
        args.extend(self.insist.then(|| "--insist".to_owned()));
        args.extend(handed.arguments());
        args
    }
}

fn main() -> std::process::ExitCode {
    tool::main(run)
}

#[expect(clippy::needless_pass_by_value, reason = "tool::main hands the arguments over")]
fn run(args: Args, io: &mut Io) -> Result<Outcome, Failure> {
    let mut handed = Handed::receive(&args.handed).map_err(|error| {
        Failure::io(Code::Usage, "cannot use the descriptors that were handed down", &error)
    })?;
    // What is installed may be read by all, whatever umask we were started with.
    rustix::process::umask(rustix::fs::Mode::from(0o022));
    // llama.cpp, the quickest, is begun as its record arrives; the others wait for what icache has to say.
    let (mut later, mut verified) = (Vec::new(), Vec::new());
    while let Some(record) = io.read()? {
        match record {
            Record::Env(env) if io.ended(env.engine) => {}
            Record::Env(env) if env.engine == Engine::LlamaCpp => {
                act(&args, &Wanted { env: &env, verified: None }, std::mem::take(&mut handed), io)?;
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
            act(&args, &Wanted { env, verified }, std::mem::take(&mut handed), io)?;
        }
    }
    io.require("env", &["ienv"])?;
    Ok(Outcome::Done)
}

/// What the stream says of an engine.
struct Wanted<'a> {
    env: &'a Env,
    /// What icache found in its cache, if it looked.
    verified: Option<&'a Cache>,
}

/// What was found or done for an engine.
enum Found {
    Installed(Box<Installed>, Vec<Warning>),
    /// Nothing, and why; and what an operator should know.
    Nothing(String, Option<Warning>),
}

fn act(args: &Args, wanted: &Wanted<'_>, handed: Handed, io: &mut Io) -> Result<(), Failure> {
    let engine = wanted.env.engine;
    match User::other(wanted.env.user.as_deref(), &vars::user(wanted.env.engine)) {
        Ok(Some(user)) => return other_user::act(args, wanted, &user, io),
        Ok(None) => {}
        Err(failure) => return io.fail(engine, failure),
    }
    match install(args, wanted, handed) {
        Ok(Found::Installed(mut installed, warnings)) => {
            // What was pruned since is nothing to roll back to.
            installed.previous.take_if(|previous| !owner::exists(previous));
            warnings.into_iter().try_for_each(|warning| io.warn(warning))?;
            io.write(*installed)
        }
        Ok(Found::Nothing(why, warning)) => {
            warning.into_iter().try_for_each(|warning| io.warn(warning))?;
            io.skip(engine, why)
        }
        Err(failure) => io.fail(engine, failure),
    }
}

/// How this run installs an engine.
enum Way<'a> {
    /// A llama.cpp archive.
    Archive(&'a Path),
    /// A pixi-pack bundle.
    Bundle(&'a Path),
    /// A template and a cache.
    Cache,
}

/// The way that `env` asks for, where this run installs.
fn way<'a>(args: &Args, env: &'a Env) -> Option<Way<'a>> {
    if !env.wants(Step::Install) || args.rollback {
        return None;
    }
    match env.road {
        _ if env.engine == Engine::LlamaCpp => env.archive.as_deref().map(Way::Archive),
        Some(Road::Cache) => env.template_dir.as_ref().map(|_| Way::Cache),
        Some(Road::Bundle) => env.bundle.as_deref().map(Way::Bundle),
        _ => None,
    }
}

fn install(args: &Args, wanted: &Wanted<'_>, handed: Handed) -> Result<Found, Failure> {
    let begun = Instant::now();
    let env = wanted.env;
    let folder = env.home().ok_or_else(|| {
        let what = format!("the 'env' record of {} is of no use", env.engine);
        Failure::new(Code::Input, what, "it has neither install_dir nor project_dir")
    })?;
    if args.rollback && env.wants(Step::Install) {
        return roll_back(args, folder);
    }
    if args.prepare && env.wants(Step::Install) {
        let (done, warning) = prepare::prepare(env, folder, Duration::from_secs(args.wait))?;
        return Ok(Found::Nothing(done, warning));
    }
    let patience = Duration::from_secs(args.wait);
    let order = Order { env, rehash: args.rehash, keep: args.keep, begun, patience };
    let Handed { source, manifest, lock } = handed;
    let opened = |path| {
        let opened = source.map_or_else(|| source::open(path), Ok);
        opened.and_then(|fd| source::OpenSource::new(path, fd)).map_err(|failure| source::named(env, failure))
    };
    let way = way(args, env);
    if way.is_some() {
        may_run_in(env, folder)?;
    }
    let (installed, warnings) = match way {
        Some(Way::Archive(path)) => {
            let archive = archive::Archive { order, source: opened(path)? };
            install::with_install_root(folder, patience, |root, lock| archive.install(root, lock))?
        }
        Some(Way::Bundle(path)) => {
            let source = opened(path)?;
            let papers = bundle::Papers::read(env, &source.looks, manifest, lock)?;
            let bundle = bundle::Bundle { order, source, papers, run_sh: args.run_sh };
            install::with_install_root(folder, patience, |root, lock| {
                road::install(&bundle, &order, root, lock)
            })?
        }
        Some(Way::Cache) => {
            let road = cache::CacheRoad::new(order, wanted.verified)?;
            install::with_install_root(folder, patience, |root, lock| road.install(root, lock))?
        }
        None => match looked_up(env, folder, begun)?.filter(|_| !args.insist) {
            Some(installed) => (installed, Vec::new()),
            None => return nothing(env, folder),
        },
    };
    Ok(Found::Installed(Box::new(installed), warnings))
}

/// Nothing that is installed where no program may be run is of any use.
fn may_run_in(env: &Env, folder: &Path) -> Result<(), Failure> {
    let Some(mount) = child::noexec(folder) else { return Ok(()) };
    let what = format!("cannot install {} into {}", env.engine, folder.display());
    let cause = format!("the file system of {} is mounted noexec", mount.display());
    let hint =
        "mount it with exec (docker: --tmpfs DIR:exec), or set AUTO_INFER_WORKSPACE_DIR to another folder";
    Err(Failure::new(Code::Unmet, what, cause).hint(hint))
}

fn roll_back(args: &Args, folder: &Path) -> Result<Found, Failure> {
    let begun = Instant::now();
    let Some(root) = install::InstallRoot::find(folder)?.filter(|root| owner::is_dir(root.installs())) else {
        let what = format!("cannot roll back {}", folder.display());
        return Err(Failure::new(Code::Unmet, what, "nothing of ours is installed there"));
    };
    let lock = install::RootLock::wait(&root, Duration::from_secs(args.wait))?;
    let target = lookup::roll_back(&root, &lock)?;
    let warnings = root.link(&target, &lock)?;
    let mut installed = target.record;
    installed.seconds = begun.elapsed().as_secs_f64();
    Ok(Found::Installed(Box::new(installed), warnings))
}

/// What is there, where nothing is to be installed.
fn looked_up(env: &Env, folder: &Path, begun: Instant) -> Result<Option<Installed>, Failure> {
    let why = if env.wants(Step::Install) { "no source is set" } else { "step install was not asked for" };
    log::info!("looks up what is in {}: {why}", folder.display());
    lookup::installed(env, folder, begun)
}

/// Nothing is installed: why that is as it was asked for, or a failure where it is not.
fn nothing(env: &Env, folder: &Path) -> Result<Found, Failure> {
    let folder = folder.display();
    if !env.wants(Step::Install) {
        let why = format!("step install was not asked for, and nothing is installed in {folder}");
        return Ok(Found::Nothing(why, None));
    }
    let what = format!("cannot install {} into {folder}", env.engine);
    let suffix = match env.road {
        _ if env.engine == Engine::LlamaCpp => Some("PKG_PATH"),
        Some(Road::Bundle) => Some("BUNDLE_PATH").filter(|_| env.bundle.is_none()),
        Some(Road::Cache) => Some("TEMPLATE_DIR").filter(|_| env.template_dir.is_none()),
        _ => None,
    };
    let none = match suffix {
        Some(suffix) => format!("{} is not set", vars::of(env.engine, suffix)),
        None if env.bundle.is_none() && env.template_dir.is_none() => {
            "no bundle or template is set".to_owned()
        }
        None => {
            return Err(Failure::new(Code::Unmet, what, "nothing says by which road")
                .hint("ienv --road bundle or --road cache says it"));
        }
    };
    // Boot that asks for an install must not go on as if it had one; by hand, whoever plans may do without.
    if env.steps.is_some() {
        let by_boot = env
            .origin
            .iter()
            .any(|(field, origin)| field.ends_with("on_boot") && *origin == record::Origin::Variable);
        let hint = match by_boot {
            true => {
                "set it to what is to be installed; a boot that is to install nothing has no ON_BOOT variable that asks for it"
            }
            false => "set it to what is to be installed",
        };
        return Err(Failure::new(Code::Unmet, what, none).hint(hint));
    }
    Ok(Found::Nothing(format!("{none}, and nothing is installed in {folder}"), None))
}
