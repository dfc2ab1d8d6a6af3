//! From the `server` table and `extra_args` to a command line, in each engine's own way of writing.
use crate::argument::{Argument, Dialect, Refusal};
use crate::{by_table, by_vocabulary, extra};
use config::{Instance, Table};
use engine::ListSyntax;
use std::collections::{HashMap, HashSet};

/// The arguments of one instance: those written from `server`, then `extra_args` as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) written: Vec<Argument>,
    pub(crate) extra: Vec<Argument>,
}

impl Arguments {
    /// `--host` and `--port` are always among them: defaults differ between versions. What the engine would not take is
    /// left out and said.
    pub(crate) fn of(instance: &Instance, dialect: Dialect<'_>) -> (Self, Vec<Refusal>) {
        let (mut arguments, mut refusals) = (Self::default(), Vec::new());
        arguments.write_all(&instance.server, dialect, &mut refusals);
        arguments.extra = extra::parse(&instance.extra_args, dialect, &mut refusals);
        for (flag, value) in [("host", "127.0.0.1".to_owned()), ("port", dialect.profile.port.to_string())] {
            if arguments.value(flag).is_none() {
                let values = vec![value];
                let tokens = by_table::tokens(flag, &values, ListSyntax::Values, dialect.profile);
                let (flag, name) = (flag.to_owned(), format!("server.{flag}"));
                arguments.written.push(Argument {
                    flag,
                    name,
                    place: None,
                    tokens,
                    values,
                    holds_secret: false,
                    number: false,
                });
            }
        }
        (arguments, refusals)
    }

    fn write_all(&mut self, server: &Table, dialect: Dialect<'_>, refusals: &mut Vec<Refusal>) {
        // The first name of each flag; a dotted one is a part of its value.
        let mut names: HashMap<String, String> = HashMap::new();
        for entry in &server.0 {
            let written = match dialect.vocabulary {
                Some(vocabulary) => by_vocabulary::write(entry, vocabulary, dialect),
                None => Ok(by_table::write(entry, dialect.profile, dialect.repeat)),
            };
            match written {
                Ok(Some(argument)) => match names.get(&argument.flag).filter(|_| !is_dotted(&argument)) {
                    // Two keys of the table are two spellings of one flag.
                    Some(other) if dialect.vocabulary.is_some() => {
                        let cause =
                            format!("{} and {other} are one flag, --{}", argument.name, argument.flag);
                        refusals.push(Refusal { place: Some(entry.place), cause, hint: None });
                    }
                    _ => {
                        names.entry(argument.flag.clone()).or_insert_with(|| argument.name.clone());
                        self.written.push(argument);
                    }
                },
                Ok(None) => {}
                Err(refusal) => refusals.push(refusal),
            }
        }
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
        let written: HashSet<&str> = self.written.iter().map(|argument| argument.flag.as_str()).collect();
        self.extra
            .iter()
            .map(|argument| argument.flag.as_str())
            .filter(|flag| written.contains(flag))
            .collect()
    }

    /// The command line.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.written.iter().chain(&self.extra).flat_map(|argument| argument.tokens.clone()).collect()
    }
}

fn is_dotted(argument: &Argument) -> bool {
    argument.tokens.first().is_some_and(|token| token.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::{ExtraArgument, Place};
    use record::Engine;

    fn arguments(engine: Engine, server: &str, extra: &[&str], repeat: bool) -> Arguments {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), server).unwrap();
        let server = config::Document::read(file.path(), None).unwrap().root;
        let word = |token: &&str| ExtraArgument { text: (*token).to_owned(), place: Place::Overrides };
        let extra_args = extra.iter().map(word).collect();
        let instance = Instance { server, extra_args, ..Instance::disabled("x", engine) };
        Arguments::of(&instance, Dialect { profile: engine::of(engine), vocabulary: None, repeat }).0
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
            (Vllm, "x = -1.5", "--x=-1.5"),
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
