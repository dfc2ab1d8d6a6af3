//! How a server is spoken to: by TLS or not, under which prefix; and what of it no tool here speaks.
use crate::argument::{Argument, Refusal};
use crate::arguments::Arguments;
use engine::Profile;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the arguments of one instance come to, beside its host and port.
#[derive(Debug, Default)]
pub(crate) struct Address {
    /// `https`; `None`: plain HTTP.
    pub(crate) scheme: Option<String>,
    /// What stands before each of its paths.
    pub(crate) path_prefix: Option<String>,
    /// The certificate that it shows.
    pub(crate) ca_file: Option<PathBuf>,
    /// Where nobody would reach it.
    pub(crate) refusals: Vec<Refusal>,
}

/// The arguments, and the variables by which llama.cpp is told the same.
struct FlagValues<'a> {
    arguments: &'a Arguments,
    env: &'a BTreeMap<String, String>,
    profile: &'static Profile,
}

impl Address {
    /// `own_module`: it runs by a module of the operator's choice.
    pub(crate) fn of(
        arguments: &Arguments,
        env: &BTreeMap<String, String>,
        profile: &'static Profile,
        own_module: bool,
    ) -> Self {
        let values = FlagValues { arguments, env, profile };
        let mut address = Self::default();
        address.tls(&values);
        address.prefix(&values);
        let unread = if own_module { &[] } else { profile.unread };
        for (flag, cause, hint) in profile.unreachable.iter().chain(unread) {
            if arguments.all(flag).next_back().is_some_and(is_on) {
                address.refusals.push(values.refusal(flag, cause, hint));
            }
        }
        address
    }

    fn tls(&mut self, values: &FlagValues<'_>) {
        let Some(tls) = &values.profile.tls else { return };
        let (key, certificate) = (values.value(tls.key), values.value(tls.certificate));
        if certificate.is_some() && (key.is_some() || tls.one_file) {
            self.scheme = Some("https".to_owned());
            self.ca_file = certificate.map(PathBuf::from);
        } else if key.is_some() || certificate.is_some() {
            let (given, other) =
                if key.is_some() { (tls.key, tls.certificate) } else { (tls.certificate, tls.key) };
            let cause = format!("without {} it makes no TLS", other.replace('-', "_"));
            self.refusals.push(values.refusal(given, &cause, "give both files, or none for plain HTTP"));
        }
        let demanded = tls.client_certificates.filter(|flag| values.value(flag) == Some("2"));
        if let Some(flag) = demanded {
            let cause = "it makes the server ask for a certificate of ours, and there is none";
            self.refusals.push(values.refusal(
                flag,
                cause,
                "leave it out, or have a proxy in front of the server ask",
            ));
        }
    }

    /// The prefix stands before paths that begin with a slash, as it is.
    fn prefix(&mut self, values: &FlagValues<'_>) {
        let Some(flag) = values.profile.path_prefix else { return };
        let Some(prefix) = values.value(flag).filter(|prefix| !prefix.is_empty()) else { return };
        if prefix.starts_with('/') && !prefix.ends_with('/') {
            self.path_prefix = Some(prefix.to_owned());
            return;
        }
        let cause = format!("no path of the server would begin with '{prefix}'");
        let hint = match prefix.trim_matches('/') {
            "" => "leave it out".to_owned(),
            inner => format!("write it as \"/{inner}\""),
        };
        self.refusals.push(values.refusal(flag, &cause, &hint));
    }
}

impl FlagValues<'_> {
    fn refusal(&self, flag: &str, cause: &str, hint: &str) -> Refusal {
        let argument = self.arguments.all(flag).next_back();
        let name = argument.map_or_else(|| format!("env.{}", variable(flag)), |a| a.name.clone());
        let place = argument.and_then(|argument| argument.place);
        Refusal { place, cause: format!("{name}: {cause}"), hint: Some(hint.to_owned()) }
    }

    fn value(&self, flag: &str) -> Option<&str> {
        let by_variable = || match self.profile.module {
            None => self.env.get(&variable(flag)).map(String::as_str),
            Some(_) => None,
        };
        self.arguments.value(flag).or_else(by_variable).filter(|value| !value.is_empty())
    }
}

/// llama.cpp's variable for a flag (common/arg.cpp: `set_env`).
fn variable(flag: &str) -> String {
    format!("LLAMA_ARG_{}", flag.replace('-', "_").to_uppercase())
}

/// A switch that is on, or a value that is given and not 0.
fn is_on(argument: &Argument) -> bool {
    let off = argument.tokens.first().is_some_and(|token| token.starts_with("--no-"));
    !off && argument.values.first().is_none_or(|value| !value.is_empty() && value != "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extra::parse_tokens;
    use record::Engine::{LlamaCpp, Sglang, Vllm};

    fn address(engine: record::Engine, line: &str) -> Address {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (env, words): (Vec<String>, Vec<String>) =
            words.into_iter().partition(|w| w.starts_with("LLAMA_"));
        let env = env.iter().map(|w| w.split_once('=').unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned()));
        let profile = engine::of(engine);
        let arguments = Arguments { extra: parse_tokens(&words, profile), ..Arguments::default() };
        Address::of(&arguments, &env.collect(), profile, false)
    }

    #[test]
    fn tls_and_prefix_are_what_the_engine_makes_of_its_flags() {
        for (engine, line, scheme, prefix) in [
            (LlamaCpp, "--ssl-key-file /k --ssl-cert-file /c", Some("https"), None),
            (LlamaCpp, "LLAMA_ARG_SSL_KEY_FILE=/k --ssl-cert-file /c", Some("https"), None),
            (LlamaCpp, "--api-prefix /llm", None, Some("/llm")),
            (LlamaCpp, "LLAMA_ARG_API_PREFIX=/a/b", None, Some("/a/b")),
            (LlamaCpp, "--ctx-size 5", None, None),
            (Vllm, "--nnodes 2 --node-rank 0", None, None),
            (Vllm, "--ssl-keyfile /k --ssl-certfile=/c --root-path /x", Some("https"), None),
            (Vllm, "--ssl-certfile /c --ssl-cert-reqs 1", Some("https"), None),
            (Sglang, "--ssl-keyfile /k --ssl-certfile /c --fastapi-root-path /x", Some("https"), None),
        ] {
            let found = address(engine, line);
            assert_eq!((found.scheme.as_deref(), found.path_prefix.as_deref()), (scheme, prefix), "{line}");
            assert_eq!(found.ca_file.is_some(), scheme.is_some(), "{line}");
            assert!(found.refusals.is_empty(), "{line}: {:?}", found.refusals);
        }
    }

    #[test]
    fn what_nobody_could_reach_is_refused() {
        for (engine, line, cause) in [
            (
                LlamaCpp,
                "--ssl-key-file /k",
                "extra_args.--ssl-key-file: without ssl_cert_file it makes no TLS",
            ),
            (LlamaCpp, "LLAMA_ARG_SSL_CERT_FILE=/c", "env.LLAMA_ARG_SSL_CERT_FILE: without ssl_key_file"),
            (
                LlamaCpp,
                "--api-prefix llm",
                "extra_args.--api-prefix: no path of the server would begin with 'llm'",
            ),
            (LlamaCpp, "--api-prefix /llm/", "extra_args.--api-prefix: no path of the server would begin"),
            (Vllm, "--ssl-keyfile /k", "extra_args.--ssl-keyfile: without ssl_certfile it makes no TLS"),
            (
                Vllm,
                "--ssl-certfile /c --ssl-cert-reqs 2",
                "extra_args.--ssl-cert-reqs: it makes the server ask",
            ),
            (Vllm, "--uds /run/x.sock", "extra_args.--uds: it listens on a socket in the file system"),
            (Vllm, "--grpc", "extra_args.--grpc: it speaks gRPC"),
            (Vllm, "--headless", "extra_args.--headless: the module that is started here does not read it"),
            (Vllm, "--node-rank 1", "extra_args.--node-rank: a machine that is not the first serves nothing"),
            (Sglang, "--grpc-mode", "extra_args.--grpc-mode: it speaks gRPC"),
        ] {
            let found = address(engine, line).refusals;
            assert!(found.len() == 1 && found[0].cause.starts_with(cause), "{line}: {found:?}");
        }
    }
}
