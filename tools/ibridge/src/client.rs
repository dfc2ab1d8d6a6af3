//! The settings by which clients find the bridge: exports, configuration files, or a command that is run with them.
use crate::access::{KEY_VARIABLE, made_key_file};
use crate::client_config::{ClientConfig, claude, codex, openai, opencode};
use crate::settings::contract;
use ask::Target;
use record::Engine;
use state::Directory;
use std::ffi::OsString;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tool::{Code, Failure};

/// How long the bridge may take to list its models.
const LIMIT: Duration = Duration::from_secs(2);

/// Which bridge.
#[derive(clap::Args)]
pub(crate) struct BridgeSelector {
    /// The bridge that listens there [default: the one that is kept, else the variables']
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// File with its key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// The client.
#[derive(clap::Args)]
pub(crate) struct Env {
    #[command(flatten)]
    which: BridgeSelector,
    /// Exports for clients of the `OpenAI` API
    #[arg(long, group = "client")]
    openai: bool,
    /// opencode's configuration file
    #[arg(long, group = "client")]
    opencode: bool,
    /// Codex's configuration file
    #[arg(long, group = "client")]
    codex: bool,
}

/// One command.
#[derive(clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    which: BridgeSelector,
    /// What to run, as in: claude -p Hello
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND", value_hint = clap::ValueHint::AnyPath)]
    command: Vec<OsString>,
}

impl Env {
    /// Print the client's settings.
    pub(crate) fn print(&self) -> Result<u8, Failure> {
        let client_config = self.which.find()?;
        let text = match (self.openai, self.opencode, self.codex) {
            (true, _, _) => exports(&openai(&client_config)),
            (_, true, _) => opencode(&client_config),
            (_, _, true) => codex(&client_config),
            // A key of the user's own would be sent beside ours.
            _ => format!("unset ANTHROPIC_API_KEY;\n{}", exports(&claude(&client_config))),
        };
        tool::print(&text)?;
        Ok(0)
    }
}

impl Run {
    /// Become the command.
    pub(crate) fn run(self) -> Result<u8, Failure> {
        let client_config = self.which.find()?;
        let mut words = self.command.into_iter();
        let program = words.next().unwrap_or_default();
        let mut command = Command::new(&program);
        command.args(words).env_remove("ANTHROPIC_API_KEY");
        for (name, value) in claude(&client_config).into_iter().chain(openai(&client_config)) {
            command.env(name, value);
        }
        let error = command.exec();
        let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        Err(Failure::io(Code::Child(code), format!("cannot run {}", Path::new(&program).display()), &error))
    }
}

/// Shell exports. Each ends in a semicolon, as the lines are joined where `eval` is given them without quotes.
fn exports(variables: &[(&str, String)]) -> String {
    let line =
        |(name, value): &(&str, String)| format!("export {name}='{}';\n", value.replace('\'', r"'\''"));
    variables.iter().map(line).collect()
}

impl BridgeSelector {
    /// Where it is, its key, and what it serves.
    fn find(&self) -> Result<ClientConfig, Failure> {
        let kept = if self.listen.is_some() { None } else { find_running() };
        let (listen, key) = match (&self.listen, kept) {
            (Some(listen), _) => (listen.clone(), None),
            (None, Some(kept)) => kept,
            (None, None) => {
                let contract = contract()?;
                let made = made_key_file(&contract.workspace);
                let key =
                    contract.key_file.as_deref().map_or_else(|| of_variable().or_else(|| read(&made)), read);
                // One on loopback makes none, and one that was made for another address is not wanted.
                let key = if is_loopback(&contract.listen) && contract.key_file.is_none() {
                    of_variable()
                } else {
                    key
                };
                (contract.listen, key)
            }
        };
        let key = match &self.key_file {
            Some(file) => Some(ask::read_key(file).map_err(|error| {
                Failure::io(Code::Unmet, format!("cannot read the key in {}", file.display()), &error)
            })?),
            None => key,
        };
        let url = url(&listen)?;
        let target = Target::parse(&url)
            .map_err(|cause| Failure::new(Code::Usage, format!("cannot use {listen}"), cause))?;
        let listed = target.with_key(key.clone()).models(LIMIT);
        if let Err(error) = &listed {
            tool::note("ibridge", &format!("warning: the bridge at {url} does not answer yet: {error}"));
        }
        Ok(ClientConfig { url, key, models: listed.unwrap_or_default() })
    }
}

/// The bridge that is kept: where it listens, and its key.
fn find_running() -> Option<(String, Option<String>)> {
    let found = state::find_all(None).ok()?;
    let place = found.places.into_iter().find(|place| is_bridge(place) && is_alive(place))?;
    let plan = place.plan().ok()??;
    let option = |name: &str| plan.args.iter().skip_while(|arg| *arg != name).nth(1).cloned();
    let listen = option("--listen")?;
    let file = option("--key-file").map(PathBuf::from);
    let made = option("--workspace").map(|workspace| made_key_file(Path::new(&workspace)));
    let of_keeper = place.api_key().ok().flatten();
    // The user who owns the plan chose this path.
    let user = place.user().ok()?;
    let of_plan =
        |file: &Path| ask::read_key_as(&user, file).inspect_err(|error| log_unreadable(file, error)).ok();
    let made = made.filter(|_| !is_loopback(&listen)).as_deref().and_then(of_plan);
    let key = file.as_deref().and_then(of_plan).or(of_keeper).or(made);
    Some((listen, key))
}

/// And not LiteLLM, which is kept beside it.
fn is_bridge(place: &Directory) -> bool {
    place.engine() == Some(Engine::Bridge) && place.instance() == Some("bridge")
}

fn is_alive(place: &Directory) -> bool {
    place.keeper().is_ok_and(|keeper| keeper.is_some())
}

fn of_variable() -> Option<String> {
    std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty())
}

fn read(file: &Path) -> Option<String> {
    ask::read_key(file).inspect_err(|error| log_unreadable(file, error)).ok()
}

fn log_unreadable(file: &Path, error: &std::io::Error) {
    log::info!("{}: {error}", file.display());
}

fn is_loopback(listen: &str) -> bool {
    listen.to_socket_addrs().is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback()))
}

/// The URL for clients on this machine.
fn url(listen: &str) -> Result<String, Failure> {
    let cannot = |cause: &str| Failure::new(Code::Usage, format!("cannot use {listen}"), cause.to_owned());
    let (host, port) = listen.rsplit_once(':').ok_or_else(|| cannot("it is not HOST:PORT"))?;
    let bare = host.trim_matches(['[', ']']);
    let host = match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) if v4.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(v6)) if v6.is_unspecified() => "[::1]".to_owned(),
        _ => host.to_owned(),
    };
    Ok(format!("http://{host}:{port}"))
}
