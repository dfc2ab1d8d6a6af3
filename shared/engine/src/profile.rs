//! What is to be known of an engine.
use std::time::Duration;

/// How a list of values is written on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListSyntax {
    /// `--key a,b`: one value, joined by commas.
    Comma,
    /// `--key a b`: one flag and all values.
    Values,
    /// `--key a --key b`: the flag once for each value.
    Repeat,
    /// `--key '["a","b"]'`: one JSON value.
    Json,
}

/// What an engine's model is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// One file, the first shard where there are several.
    File,
    /// A folder, or one file of a format that the engine takes too.
    Folder,
}

/// How a flag names other models beside the one that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelSyntax {
    /// Its value is the path.
    Path,
    /// Paths joined by commas.
    Paths,
    /// Paths joined by commas, each with a colon and a number.
    Scaled,
    /// Several values, each `NAME=PATH`, a path, or a JSON table with `path` or `lora_path`.
    Named,
    /// A JSON table, which has the path under this key.
    Json(&'static str),
}

/// What a flag's model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelRole {
    /// It guesses ahead.
    Draft,
    /// It reads images.
    Mmproj,
    /// It changes the model.
    Lora,
    /// It splits text.
    Tokenizer,
}

/// How an engine's health is asked, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Path that answers 200 when the engine is healthy.
    pub health_path: &'static str,
    /// How long one question may take: longer than a healthy engine ever needs.
    pub timeout: Duration,
    /// Pause after the first question.
    pub first_pause: Duration,
    /// The pause grows up to this.
    pub last_pause: Duration,
}

/// Where an engine says whether requests are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// A JSON array of slots, each with `is_processing`.
    Slots(&'static str),
    /// Prometheus metrics.
    Metrics {
        /// The path.
        path: &'static str,
        /// What the engine's own metrics begin with; others change by being asked for.
        prefix: &'static str,
        /// Those that count requests under way or waiting.
        requests: &'static [&'static str],
        /// Those that only a request of somebody's moves: not the time that passes, nor a look at its health.
        served: &'static [&'static str],
    },
    /// Nowhere.
    Unknown,
}

/// A switch by which an engine says whether it is busy, or keeps it to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusySwitch {
    /// The flag.
    pub flag: &'static str,
    /// The engine says whether it is busy while the switch has this value.
    pub on: bool,
    /// The switch where nobody sets it.
    pub default: bool,
}

/// How a flag names files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSyntax {
    /// Its value is a file.
    File,
    /// Files joined by commas.
    Files,
    /// Files joined by commas, each with a number behind a colon.
    Scaled,
    /// Its value is a folder.
    Folder,
    /// A value that begins with a slash is a file or a folder; another is a name, or the content itself.
    Maybe,
    /// So are the paths in `name=/path` and in JSON.
    Within,
}

/// The flags by which a server is made to speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The file with its key.
    pub key: &'static str,
    /// The file with its certificate.
    pub certificate: &'static str,
    /// The certificate's file may hold the key too.
    pub one_file: bool,
    /// The flag whose value 2 makes it demand a certificate of whoever asks.
    pub client_certificates: Option<&'static str>,
}

/// A flag that cannot be used, why, and what to do.
pub type Unusable = (&'static str, &'static str, &'static str);

/// One engine's facts. Flags are named without leading dashes, words joined by hyphens.
#[derive(Debug)]
pub struct Profile {
    /// What it listens on when the TOML does not say. Passed explicitly, always: defaults move between versions.
    pub port: u16,
    /// Logs in a `log_dir` are called `PREFIX-NAME.log`.
    pub log_prefix: &'static str,
    /// The `master` key that names the Python module to run, and the module; `None`: a program of its own.
    pub module: Option<(&'static str, &'static str)>,
    /// Its parser takes a fraction below zero, which is a value to argparse, for one of its dotted options: vLLM's does.
    pub fraction_is_option: bool,
    /// The Python distributions, which are modules too, that an environment must have to serve.
    pub imports: &'static [&'static str],
    /// The flag that names the model.
    pub model: &'static str,
    /// Flags that tell the engine what to serve in place of `model`.
    pub model_elsewhere: &'static [&'static str],
    /// What the model is on disk.
    pub weights: Weights,
    /// Flags that name other models, and how.
    pub other_models: &'static [(&'static str, ModelRole, ModelSyntax)],
    /// The flag with the name that the model is served under.
    pub served_name: &'static str,
    /// Secrets that the engine takes from a variable: flag and variable. The first is the API key.
    pub secret_variables: &'static [(&'static str, &'static str)],
    /// The flag that names a YAML file with more arguments; secrets without a variable go there.
    pub config_file: Option<&'static str>,
    /// Flags whose product is the number of GPUs that one instance needs.
    pub parallel: &'static [&'static str],
    /// Flags that say that other machines take part, so that the GPUs here need not suffice.
    pub spread: &'static [&'static str],
    /// How a list is written.
    pub lists: ListSyntax,
    /// Flags that write a list otherwise.
    pub other_lists: &'static [(&'static str, ListSyntax)],
    /// Flags that have a `--no-` form and that leaving out does not turn off.
    pub negatable: &'static [&'static str],
    /// Flags that take `on` or `off` where a boolean is meant.
    pub switches: &'static [&'static str],
    /// Other spellings of a flag, as typed, and the flag.
    pub spellings: &'static [(&'static str, &'static str)],
    /// Flags that newer versions do not have, and those of the other engines, and what to write in place of them.
    pub successors: &'static [(&'static str, &'static str)],
    /// Flags that name files or folders which have to be there before it starts.
    pub files: &'static [(&'static str, FileSyntax)],
    /// The flag with a file of sections, each of which is a model that it serves.
    pub preset: Option<&'static str>,
    /// GPUs are given to it by number: it reads no UUID.
    pub gpus_by_number: bool,
    /// Words of its log, and the phase of its start that begins with the first line that has them, in the order of a start.
    pub phases: &'static [(&'static str, &'static str)],
    /// What its API key guards, and what stays open, where that is more than its health.
    pub open: Option<(&'static str, &'static str)>,
    /// How it is made to speak TLS.
    pub tls: Option<Tls>,
    /// The flag for the prefix of all its paths. A flag that only names the prefix that a proxy removes does not count.
    pub path_prefix: Option<&'static str>,
    /// Flags that put it where no client of ours gets, with the reason and what to do.
    pub unreachable: &'static [Unusable],
    /// Flags that its own module does not read as they are meant, and another module may.
    pub unread: &'static [Unusable],
    /// The flag with its number among several machines: above 0 it answers of its health alone, and the first serves.
    pub node: Option<&'static str>,
    /// Grace between TERM and KILL.
    pub stop_timeout_s: u64,
    /// Longest wait without a sign of progress.
    pub stall_timeout_s: u64,
    /// How its health is asked.
    pub probe: Probe,
    /// How it is asked whether it is busy.
    pub activity: Activity,
    /// What makes it say that.
    pub busy_switch: Option<BusySwitch>,
    /// The first process does the work itself, and its processor time shows whether it is busy.
    pub one_process: bool,
}

impl Profile {
    /// Whether these facts speak of a flag by this name.
    #[must_use]
    pub fn names(&self, flag: &str) -> bool {
        let lists = [self.model_elsewhere, self.parallel, self.spread, self.negatable, self.switches];
        [self.model, self.served_name, "host", "port", "api-key-file"].contains(&flag)
            || self.config_file == Some(flag)
            || self.files.iter().any(|(name, _)| *name == flag)
            || lists.iter().any(|list| list.contains(&flag))
            || self.secret_variables.iter().any(|(name, _)| *name == flag)
            || self.other_lists.iter().any(|(name, _)| *name == flag)
    }

    /// The variable that carries the API key, where the engine reads one.
    #[must_use]
    pub fn key_variable(&self) -> Option<&'static str> {
        self.secret_variables.iter().find(|(flag, _)| *flag == "api-key").map(|(_, variable)| *variable)
    }
}
