//! From the `server` table and `extra_args` to a command line, in each engine's own way of writing.
use crate::value::{Entry, Node, Table, Value};
use engine::{Lists, Traits};

/// One flag as it is passed: its tokens, and its values by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// The flag's one name; empty for tokens that belong to no flag.
    pub(crate) flag: String,
    /// As `plan.secrets` would call it.
    pub(crate) name: String,
    pub(crate) tokens: Vec<String>,
    pub(crate) values: Vec<String>,
    /// A JSON object with a secret somewhere in it.
    pub(crate) holds_secret: bool,
}

/// The arguments of one instance: those written from `server`, then `extra_args` as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) written: Vec<Argument>,
    pub(crate) extra: Vec<Argument>,
}

impl Arguments {
    /// `--host` and `--port` are always among them: defaults differ between versions.
    pub(crate) fn of(server: &Table, extra: &[String], traits: &Traits, repeat: bool) -> Self {
        let write = |entry: &Entry| write(entry, traits, repeat);
        let mut arguments =
            Self { written: server.0.iter().filter_map(write).collect(), extra: parse_tokens(extra, traits) };
        for (flag, value) in [("host", "127.0.0.1".to_owned()), ("port", traits.port.to_string())] {
            if arguments.value(flag).is_none() {
                let values = vec![value];
                let tokens = tokens(flag, &values, Lists::Values, traits);
                let name = format!("server.{flag}");
                arguments.written.push(Argument {
                    flag: flag.to_owned(),
                    name,
                    tokens,
                    values,
                    holds_secret: false,
                });
            }
        }
        arguments
    }

    /// All of one flag, in the order in which the engine sees them.
    pub(crate) fn all(&self, flag: &str) -> impl DoubleEndedIterator<Item = &Argument> {
        self.written.iter().chain(&self.extra).filter(move |argument| argument.flag == flag)
    }

    /// The first value of a flag where it stands last: what counts.
    pub(crate) fn value(&self, flag: &str) -> Option<&str> {
        self.all(flag).next_back()?.values.first().map(String::as_str)
    }

    /// Flags of `extra_args` that `server` has already.
    pub(crate) fn repeated(&self) -> Vec<&str> {
        let written = |flag: &str| self.written.iter().any(|argument| argument.flag == flag);
        self.extra.iter().map(|argument| argument.flag.as_str()).filter(|flag| written(flag)).collect()
    }

    /// The command line.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.written.iter().chain(&self.extra).flat_map(|argument| argument.tokens.clone()).collect()
    }
}

/// One entry of `server`; `None` where it is written by leaving it out.
fn write(entry: &Entry, traits: &Traits, repeat: bool) -> Option<Argument> {
    let flag = traits.flag(&entry.key);
    let typed = entry.key.replace('_', "-");
    let lists = if repeat { Lists::Repeat } else { traits.list_of(&flag) };
    let (tokens, values) = match &entry.node.value {
        Value::Flag(on) if traits.switches.contains(&flag.as_str()) => {
            let values = vec![if *on { "on" } else { "off" }.to_owned()];
            (tokens(&typed, &values, lists, traits), values)
        }
        Value::Flag(true) => (vec![format!("--{typed}")], Vec::new()),
        Value::Flag(false) if traits.negatable.contains(&flag.as_str()) => {
            (vec![format!("--no-{typed}")], Vec::new())
        }
        Value::Flag(false) | Value::Null => return None,
        Value::List(nodes) if nodes.is_empty() => return None,
        Value::List(_) if lists == Lists::Json => {
            let values = vec![entry.node.value.json()];
            (tokens(&typed, &values, lists, traits), values)
        }
        Value::List(nodes) => {
            let values: Vec<String> = nodes.iter().map(single).collect();
            (tokens(&typed, &values, lists, traits), values)
        }
        _ => {
            let values = vec![single(&entry.node)];
            (tokens(&typed, &values, Lists::Values, traits), values)
        }
    };
    let holds_secret = holds_secret(&entry.node);
    Some(Argument { flag, name: format!("server.{}", entry.key), tokens, values, holds_secret })
}

fn single(node: &Node) -> String {
    node.value.word().map_or_else(|| node.value.json(), str::to_owned)
}

fn tokens(typed: &str, values: &[String], lists: Lists, traits: &Traits) -> Vec<String> {
    let flag = format!("--{typed}");
    let pair = |value: &String| {
        // argparse takes a value with a leading dash for a flag, unless it is a number.
        if traits.module.is_some() && value.starts_with('-') && value.parse::<f64>().is_err() {
            vec![format!("{flag}={value}")]
        } else {
            vec![flag.clone(), value.clone()]
        }
    };
    match (lists, values) {
        (Lists::Repeat, _) => values.iter().flat_map(pair).collect(),
        (Lists::Comma, _) => vec![flag, values.join(",")],
        (_, [value]) => pair(value),
        _ => std::iter::once(flag).chain(values.iter().cloned()).collect(),
    }
}

/// `extra_args`, or a whole command line, taken apart into flags and their values; every token stays as it is.
pub(crate) fn parse_tokens(extra: &[String], traits: &Traits) -> Vec<Argument> {
    let is_flag = |token: &str| token.len() > 1 && token.starts_with('-') && token.parse::<f64>().is_err();
    let mut arguments: Vec<Argument> = Vec::new();
    for token in extra {
        // The value of a secret may begin with anything.
        let secret_waits = arguments.last().is_some_and(|last| {
            last.tokens.len() == 1 && last.values.is_empty() && crate::secret::is_name(&last.flag)
        });
        match arguments.last_mut() {
            Some(last) if secret_waits || !is_flag(token) => {
                last.tokens.push(token.clone());
                last.values.push(token.clone());
            }
            _ => {
                let flag = if is_flag(token) { traits.flag(token) } else { String::new() };
                let typed = token.split('=').next().unwrap_or(token);
                let values = token.split_once('=').map(|(_, value)| value.to_owned()).into_iter().collect();
                let name = format!("extra_args.{typed}");
                let tokens = vec![token.clone()];
                arguments.push(Argument { flag, name, tokens, values, holds_secret: false });
            }
        }
    }
    arguments
}

/// Whether a table below this value has a secret's name in it.
fn holds_secret(node: &Node) -> bool {
    match &node.value {
        Value::List(nodes) => nodes.iter().any(holds_secret),
        Value::Table(table) => table.0.iter().any(|entry| {
            let value = &entry.node.value;
            (crate::secret::is_name(&entry.key)
                && matches!(value, Value::Text(_) | Value::Number(_) | Value::List(_)))
                || holds_secret(&entry.node)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Engine;

    fn arguments(engine: Engine, server: &str, extra: &[&str], repeat: bool) -> Arguments {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), server).unwrap();
        let table = crate::document::Document::read(file.path(), None).unwrap().root;
        let extra: Vec<String> = extra.iter().map(|token| (*token).to_owned()).collect();
        Arguments::of(&table, &extra, engine::of(engine), repeat)
    }

    fn line(engine: Engine, server: &str) -> String {
        let all = arguments(engine, &format!("host = 'h'\nport = 1\n{server}"), &[], false).tokens();
        all[4..].join(" ")
    }

    #[test]
    fn every_kind_of_value_is_written_as_the_engine_reads_it() {
        use Engine::{LlamaCpp, Sglang, Vllm};
        for (engine, server, expected) in [
            (LlamaCpp, "ctx_size = 131072", "--ctx-size 131072"),
            (LlamaCpp, "temp = 0.70", "--temp 0.70"),
            (LlamaCpp, "metrics = true", "--metrics"),
            (LlamaCpp, "metrics = false", ""),
            (LlamaCpp, "warmup = false", "--no-warmup"),
            (LlamaCpp, "no_warmup = true", "--no-warmup"),
            (LlamaCpp, "jinja = false\nslots = false", "--no-jinja --no-slots"),
            (LlamaCpp, "flash_attn = true", "--flash-attn on"),
            (LlamaCpp, "flash_attn = false", "--flash-attn off"),
            (LlamaCpp, "flash_attn = 'auto'", "--flash-attn auto"),
            (LlamaCpp, "tensor_split = [3, 1]", "--tensor-split 3,1"),
            (LlamaCpp, "lora = []", ""),
            (LlamaCpp, "control_vector_layer_range = [2, 9]", "--control-vector-layer-range 2 9"),
            (
                LlamaCpp,
                "chat_template_kwargs = { a = 1.0, b = [true] }",
                r#"--chat-template-kwargs {"a":1.0,"b":[true]}"#,
            ),
            (LlamaCpp, "n_predict = -1", "--n-predict -1"),
            (Vllm, "served_model_name = ['a', 'b']", "--served-model-name a b"),
            (Vllm, "enable_prefix_caching = false", "--no-enable-prefix-caching"),
            (Vllm, "enforce_eager = false", ""),
            (Vllm, "enforce_eager = true", "--enforce-eager"),
            (Vllm, "allowed_origins = ['*']", r#"--allowed-origins ["*"]"#),
            (Vllm, "middleware = ['a', 'b']", "--middleware a --middleware b"),
            (Vllm, "hf_overrides = { rope_theta = 1e6 }", r#"--hf-overrides {"rope_theta":1e6}"#),
            (Vllm, "x = '-dash'", "--x=-dash"),
            (Vllm, "x = -1.5", "--x -1.5"),
            (Sglang, "cuda_graph_bs = [1, 2, 4]", "--cuda-graph-bs 1 2 4"),
            (Sglang, "disable_cuda_graph_padding = true", "--disable-cuda-graph-padding"),
            (Sglang, "disable_radix_cache = false", ""),
            (Sglang, "mem_fraction_static = 0.90", "--mem-fraction-static 0.90"),
            (Sglang, "random_seed = 0x10", "--random-seed 16"),
            (Sglang, "lora_paths = [{ a = 1 }, { b = 2 }]", r#"--lora-paths {"a":1} {"b":2}"#),
        ] {
            assert_eq!(line(engine, server), expected, "{engine}: {server}");
        }
    }

    #[test]
    fn list_style_repeat_writes_the_flag_once_for_each_value() {
        let all = arguments(Engine::LlamaCpp, "host = 'h'\nport = 1\nx = ['a', 'b']", &[], true).tokens();
        assert_eq!(all[4..], ["--x", "a", "--x", "b"]);
    }

    #[test]
    fn the_order_is_the_files_then_host_and_port_then_extra_args() {
        let all = arguments(Engine::Sglang, "b = 1\na = 2", &["--z", "3"], false).tokens();
        assert_eq!(all.join(" "), "--b 1 --a 2 --host 127.0.0.1 --port 30000 --z 3");
    }

    #[test]
    fn what_stands_last_counts_and_a_port_in_extra_args_is_not_passed_twice() {
        let both = arguments(Engine::LlamaCpp, "port = 1", &["--port", "2", "-a", "x"], false);
        assert_eq!((both.value("port"), both.value("alias")), (Some("2"), Some("x")));
        assert_eq!(both.repeated(), ["port"]);
        let extra = arguments(Engine::Vllm, "", &["--port=9"], false);
        assert_eq!(extra.tokens().join(" "), "--host 127.0.0.1 --port=9");
    }
}
