//! What the bridge is to do: the command line, and for what it does not say the environment contract, which `ienv` resolves.
use crate::access::Access;
use crate::address::Address;
use record::{Bridge, Record};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tool::{Code, Failure};

/// The command line.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Listen there
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Hand all requests to this server instead of the instances of the run directory
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The default model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// File with the key that clients present
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// auto, native, translate or litellm
    #[arg(long, value_name = "MODE", value_enum, hide_possible_values = true)]
    mode: Option<Mode>,
    /// Where LiteLLM listens, in mode litellm
    #[arg(long, value_name = "HOST:PORT")]
    litellm: Option<String>,
    /// Look for instances in this run directory alone
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Where a key is made; with it, no variable is read
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// How long a request waits for an instance that loads
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    hold: u64,
    /// How many requests an instance gets at once; 0: any number
    #[arg(long, value_name = "N", default_value = "0")]
    queue: usize,
    /// The largest body of a request
    #[arg(long, value_name = "MIB", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_body: u32,
    /// How many clients may be connected at once
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=65536))]
    max_connections: u32,
    /// How long streams may go on once the bridge was told to stop
    #[arg(long, value_name = "SECONDS", default_value = "25")]
    grace: u64,
    /// Hand on the billing line of Claude Code, which changes
    #[arg(long)]
    keep_billing_header: bool,
    /// Log where a turn of a conversation stops extending the one before
    #[arg(long)]
    audit_prefix: bool,
}

/// How Anthropic Messages reach an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    // As the engine can. (clap would make a help of two lines for each option out of doc comments.)
    Auto,
    // By its own /v1/messages.
    Native,
    // As chat completions.
    Translate,
    // Through LiteLLM.
    Litellm,
}

/// Everything resolved.
pub(crate) struct Settings {
    pub(crate) listen: String,
    /// The one server that gets all requests, in place of the instances.
    pub(crate) upstream: Option<Address>,
    pub(crate) model: Option<String>,
    pub(crate) mode: Mode,
    /// In mode `litellm`, LiteLLM's address, where it works for the instances of the run directory.
    pub(crate) litellm: Option<Address>,
    pub(crate) run_dir: Option<PathBuf>,
    pub(crate) hold: Duration,
    /// 0: no limit.
    pub(crate) queue: usize,
    /// Bytes.
    pub(crate) max_body: usize,
    pub(crate) max_connections: usize,
    pub(crate) grace: Duration,
    pub(crate) keep_billing_header: bool,
    pub(crate) audit_prefix: bool,
    pub(crate) access: Access,
}

impl Settings {
    /// # Errors
    /// Code 69 for a variable that cannot be used, 2 for an option.
    pub(crate) fn resolve(options: Options) -> Result<Self, Failure> {
        let contract = match &options.workspace {
            Some(_) => None,
            None => Some(contract()?),
        };
        let of = |field: fn(&Bridge) -> Option<String>| contract.as_ref().and_then(field);
        let listen = options.listen.or_else(|| of(|bridge| Some(bridge.listen.clone())));
        let listen = listen.unwrap_or_else(|| "127.0.0.1:11899".to_owned());
        let upstream = options.upstream.or_else(|| of(|bridge| bridge.upstream.clone()));
        let upstream = upstream.map(|url| {
            Address::parse(&url)
                .map_err(|cause| Failure::new(Code::Usage, format!("cannot use the upstream '{url}'"), cause))
        });
        let mode = match (options.mode, of(|bridge| Some(bridge.mode.clone())).as_deref()) {
            (Some(mode), _) => mode,
            (None, Some("native")) => Mode::Native,
            (None, Some("translate")) => Mode::Translate,
            (None, Some("litellm")) => Mode::Litellm,
            (None, _) => Mode::Auto,
        };
        let litellm = match (mode, &upstream) {
            (Mode::Litellm, None) => {
                let listen = options.litellm.or_else(|| of(|bridge| bridge.litellm_listen.clone()));
                Some(litellm_at(listen.as_deref())?)
            }
            _ => None,
        };
        let key_file =
            options.key_file.or_else(|| contract.as_ref().and_then(|bridge| bridge.key_file.clone()));
        let workspace =
            options.workspace.or_else(|| contract.as_ref().map(|bridge| bridge.workspace.clone()));
        Ok(Self {
            access: Access::new(&listen, key_file, workspace.as_deref())?,
            listen,
            upstream: upstream.transpose()?,
            model: options.model.or_else(|| of(|bridge| bridge.model.clone())),
            mode,
            litellm,
            run_dir: options.run_dir,
            hold: Duration::from_secs(options.hold),
            queue: options.queue,
            max_body: usize::try_from(options.max_body).unwrap_or(usize::MAX) << 20,
            max_connections: usize::try_from(options.max_connections).unwrap_or(1024),
            grace: Duration::from_secs(options.grace),
            keep_billing_header: options.keep_billing_header,
            audit_prefix: options.audit_prefix,
        })
    }
}

/// All of what `ienv bridge` writes is a few lines.
const CONTRACT_BYTES: u64 = 1 << 20;

/// Where LiteLLM is asked.
fn litellm_at(listen: Option<&str>) -> Result<Address, Failure> {
    let what = "cannot use mode litellm";
    let listen = listen.ok_or_else(|| {
        let hint = "name LiteLLM's address with --litellm, or another server's with --upstream";
        Failure::new(Code::Unmet, what, "where LiteLLM listens is not said").hint(hint)
    })?;
    let address = Address::parse(&format!("http://{listen}"));
    let address =
        address.map_err(|cause| Failure::new(Code::Usage, format!("{what} at '{listen}'"), cause))?;
    Ok(Address { health: ask::LITELLM_HEALTH, ..address.on_this_machine() })
}

/// The bridge's part of the environment contract.
pub(crate) fn contract() -> Result<Bridge, Failure> {
    let ienv = child::sibling("ienv")?;
    let what = || format!("cannot run {}", ienv.display());
    let cannot = |error| Failure::io(Code::Unmet, what(), &error);
    let mut command = Command::new(&ienv);
    command.arg("bridge").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(cannot)?;
    let mut text = Vec::new();
    let read = child.stdout.take().map_or(Ok(0), |output| output.take(CONTRACT_BYTES).read_to_end(&mut text));
    let status = child.wait().map_err(cannot)?;
    read.map_err(cannot)?;
    let mut failed = None;
    let mut lines = record::Reader::new(text.as_slice());
    while let Some(line) = lines.read().map_err(tool::unreadable)? {
        match line.record {
            Some(Record::Bridge(bridge)) => return Ok(bridge),
            Some(Record::Failed(failure)) => failed = failed.or(Some(failure)),
            _ => {}
        }
    }
    Err(match failed {
        Some(failed) => {
            let failure = Failure::new(Code::Unmet, failed.what, failed.cause);
            Failure { hint: failed.hint, ..failure }
        }
        None => {
            let ended = child::exit_words(status);
            Failure::new(Code::Unmet, what(), format!("it wrote no 'bridge' record: {ended}"))
        }
    })
}
