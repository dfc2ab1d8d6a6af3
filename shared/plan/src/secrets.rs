//! The values that a plan only names.
use crate::instance::{WithoutSecrets, separate};
use crate::key_file::{first_key, read_text};
use crate::login::logins;
use crate::options::Options;
use crate::secret::{CONFIG_FILE, Delivery, config_text};
use crate::secret_name::leaves;
use crate::{asked_vocabulary, bridge, litellm};
use config::Document;
use failure::{Code, Failure};
use record::{Engine, Plan};
use state::Secrets;

/// The values of the secrets that a plan names: reads the configuration and the overrides again.
///
/// # Errors
/// Code 75 when they changed since the plan was made, 69 when a file with secrets cannot be read.
pub fn secrets(plan: &Plan, options: &Options) -> Result<Secrets, Failure> {
    match plan.engine {
        Engine::Bridge if plan.instance == litellm::NAME => return litellm::secrets(plan, options),
        Engine::Bridge => return bridge::secrets(plan, options),
        Engine::LlamaCpp | Engine::Vllm | Engine::Sglang => {}
    }
    let mut given = Secrets::default();
    if plan.secrets.is_empty() {
        return Ok(given);
    }
    let WithoutSecrets { secrets, their_config, .. } = read_again(plan, options)?;
    for secret in &secrets {
        // An engine prints them with and without the rest of the URL.
        given.values.extend(secret.values.iter().flat_map(|value| logins(value)));
        let own_key = match &secret.way {
            Delivery::Variable(name) => {
                let value = secret.values.first().cloned().unwrap_or_default();
                given.env.insert(name.clone(), value.clone());
                Some(value)
            }
            Delivery::Line(_) => {
                given.values.extend(secret.values.iter().cloned());
                // The engine prints a table's secrets out of it.
                given.values.extend(secret.values.iter().flat_map(|value| leaves(value)));
                secret.values.first().cloned()
            }
            Delivery::KeyFile(path) => first_key(&read_text(path)?).map(str::to_owned),
        };
        if secret.api_key {
            // Several keys in one value are joined by commas; any of them opens the door.
            given.api_key = own_key.map(|key| key.split(',').next().unwrap_or(&key).to_owned());
        }
    }
    if secrets.iter().any(|secret| matches!(secret.way, Delivery::Line(_))) {
        let theirs = their_config.as_deref().map(read_text).transpose()?;
        if let Some(text) = &theirs
            && text.trim_start().starts_with('{')
        {
            let what = format!("cannot add lines to {}", their_config.unwrap_or_default().display());
            return Err(Failure::new(Code::Unmet, what, "it is not one 'key: value' on each line"));
        }
        given.files.insert(CONFIG_FILE.to_owned(), config_text(&secrets, theirs.as_deref()));
    }
    Ok(given)
}

fn read_again(plan: &Plan, options: &Options) -> Result<WithoutSecrets, Failure> {
    let changed = |cause: &str| {
        let what = format!(
            "{} is not what {} {} was planned from",
            plan.config.display(),
            plan.engine,
            plan.instance
        );
        Failure::new(Code::Later, what, cause).hint("plan it again")
    };
    let document = Document::read(&plan.config, options.overrides(plan.engine))?;
    if document.sha256 != plan.config_sha256 {
        return Err(changed("the file or its overrides changed since"));
    }
    // Unknown keys were dealt with by whoever planned.
    let config = config::read(&document, plan.engine, true)
        .map_err(|failures| failures.into_iter().next().unwrap_or_else(|| changed("it is not usable")))?;
    let instance = config.instances.iter().find(|instance| instance.name == plan.instance);
    let instance = instance.ok_or_else(|| changed("the instance is gone"))?;
    separate(instance, plan.engine, asked_vocabulary::of_plan(plan).as_ref(), &plan.state_dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Item, plan_all};
    use record::Engine;
    use tempfile::TempDir;

    /// A folder with everything that an engine's only instance `a` needs to be planned.
    struct Machine {
        dir: TempDir,
        engine: Engine,
        options: Options,
    }

    impl Machine {
        fn new(engine: Engine, server: &str) -> Self {
            let dir = TempDir::new().unwrap();
            let machine = Self { dir, engine, options: Options::default() };
            let python = machine.path("env/bin/python");
            std::fs::create_dir_all(python.parent().unwrap()).unwrap();
            std::fs::copy("/proc/self/exe", &python).unwrap();
            std::fs::create_dir(machine.path("bin")).unwrap();
            std::fs::copy("/proc/self/exe", machine.path("bin/llama-server")).unwrap();
            std::fs::write(machine.path("own.yaml"), "tp-size: 2").unwrap();
            std::fs::write(machine.path("keys"), "# ours\n\nfirst\nsecond\n").unwrap();
            let server = server.replace("$D", machine.dir.path().to_str().unwrap());
            let allow = "[instance.control]\nallow = ['port_in_use', 'model_not_local']\n";
            let toml = format!("{allow}[instance.a.server]\nmodel = 'm'\n{server}");
            std::fs::write(machine.path("c.toml"), toml).unwrap();
            machine
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.dir.path().join(name)
        }

        fn plan(&self) -> Plan {
            let root = self.dir.path();
            let home = if self.engine == Engine::LlamaCpp { "install_dir" } else { "project_dir" };
            let env = serde_json::json!({
                "engine": self.engine, "workspace": root, "run_dir": root, "log_dir": root, home: root,
                "config": self.path("c.toml"), "origin": {}
            });
            let input = Input { env: serde_json::from_value(env).unwrap(), installed: None };
            match plan_all(&[input], None, &self.options).pop().unwrap() {
                Item::Plan(plan) => *plan,
                other => panic!("{other:?}"),
            }
        }

        fn secrets(&self) -> Secrets {
            secrets(&self.plan(), &self.options).unwrap()
        }
    }

    #[test]
    fn an_api_key_goes_by_the_engines_variable_where_it_has_one() {
        let server = "api_key = 'k'\nhf_token = 't'\n[instance.a.env]\nMY_PASSWORD = 'p'";
        for (engine, variable) in [(Engine::LlamaCpp, "LLAMA_API_KEY"), (Engine::Vllm, "VLLM_API_KEY")] {
            let given = Machine::new(engine, server).secrets();
            let expected = [(variable, "k"), ("HF_TOKEN", "t"), ("MY_PASSWORD", "p")];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            assert!(given.env == expected && given.files.is_empty(), "{engine}");
            assert_eq!(given.api_key.as_deref(), Some("k"));
        }
    }

    #[test]
    fn what_has_no_variable_goes_into_a_configuration_file_behind_the_operators_own_lines() {
        let machine = Machine::new(Engine::Sglang, "api_key = 'k'\nextra_args = ['--config', '$D/own.yaml']");
        let given = machine.secrets();
        assert_eq!(given.files["config.yaml"], "tp-size: 2\napi-key: \"k\"\n");
        assert_eq!((given.values, given.api_key), (vec!["k".to_owned()], Some("k".to_owned())));
        let ours = machine.path("sglang/a/config.yaml").display().to_string();
        assert!(machine.plan().args.ends_with(&["--config".to_owned(), ours]));
        let several = Machine::new(Engine::Vllm, "api_key = ['k', 'l']").secrets();
        assert_eq!(several.files["config.yaml"], "api-key: [\"k\",\"l\"]\n");
    }

    #[test]
    fn what_is_secret_in_a_table_or_in_json_is_known_by_itself_too() {
        let server = "speculative_config = { method = 'mtp', api_key = 'deep-1', eos_token = '</s>' }";
        let json = r#"extra_args = ['--additional-config', '{"a": [{"my_token": "deep-2"}]}']"#;
        let machine = Machine::new(Engine::Vllm, &format!("{server}\n{json}"));
        let (plan, given) = (machine.plan(), machine.secrets());
        assert_eq!(plan.secrets, ["server.speculative_config", "extra_args.--additional-config"]);
        for secret in ["deep-1", "deep-2"] {
            assert!(given.values.iter().any(|value| value == secret), "{:?}", given.values);
            assert!(!plan.args.join(" ").contains(secret), "{:?}", plan.args);
        }
        assert!(!given.values.iter().any(|value| value == "</s>"));
        let plain =
            Machine::new(Engine::Sglang, "kt_max_deferred_experts_per_token = 4\neos_token = '</s>'").plan();
        assert!(plain.secrets.is_empty(), "{:?}", plain.secrets);
    }

    /// vLLM takes one key of an option behind a dot, from its configuration file too.
    #[test]
    fn a_secret_behind_a_dot_is_one_and_keeps_its_key() {
        for (server, line) in [
            ("\"additional-config.my_token\" = 'deep-1'", "additional-config.my_token: \"deep-1\"\n"),
            (
                "extra_args = ['--additional-config.a.my_token', 'deep-1']",
                "additional-config.a.my_token: \"deep-1\"\n",
            ),
            (
                "extra_args = ['--additional-config.a={\"my_token\": \"deep-1\"}']",
                "additional-config.a: \"{\\\"my_token\\\": \\\"deep-1\\\"}\"\n",
            ),
        ] {
            let machine = Machine::new(Engine::Vllm, server);
            let (plan, given) = (machine.plan(), machine.secrets());
            assert_eq!(given.files["config.yaml"], line);
            assert!(given.values.iter().any(|value| value == "deep-1"), "{:?}", given.values);
            assert!(!plan.args.join(" ").contains("deep-1"), "{:?}", plan.args);
        }
        let plain = Machine::new(Engine::Vllm, "\"additional-config.eos_token\" = '</s>'").plan();
        assert!(plain.secrets.is_empty(), "{:?}", plain.secrets);
    }

    #[test]
    fn several_keys_of_llama_cpp_are_joined_and_a_key_file_is_read_for_us() {
        let joined = Machine::new(Engine::LlamaCpp, "api_key = ['k', 'l']").secrets();
        assert_eq!((joined.env["LLAMA_API_KEY"].as_str(), joined.api_key.as_deref()), ("k,l", Some("k")));
        let machine = Machine::new(Engine::LlamaCpp, "api_key_file = '$D/keys'");
        assert_eq!(machine.secrets().api_key.as_deref(), Some("first"));
        assert!(machine.plan().args.contains(&"--api-key-file".to_owned()));
    }

    #[test]
    fn a_configuration_that_changed_since_is_a_failure_that_a_retry_mends() {
        let mut machine = Machine::new(Engine::Vllm, "api_key = 'k'");
        let plan = machine.plan();
        let overrides = "AUTO_INFER_VLLM_OVERRIDES".to_owned();
        machine.options.environment.insert(overrides, "{}".to_owned());
        assert!(secrets(&plan, &machine.options).is_err_and(|failure| failure.code == Code::Later));
        assert!(secrets(&machine.plan(), &machine.options).is_ok());
        let without = Machine::new(Engine::Vllm, "");
        assert!(without.secrets() == Secrets::default());
    }
}
