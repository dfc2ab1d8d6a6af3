//! What each client calls the address, the key and the model, and how each is kept quiet.
use serde_json::json;

/// The settings.
pub(crate) struct ClientConfig {
    /// Without `/v1`.
    pub(crate) url: String,
    pub(crate) key: Option<String>,
    /// The names that are served, the default first; none where the bridge does not answer.
    pub(crate) models: Vec<String>,
}

impl ClientConfig {
    /// Clients want some key, whether there is one or not.
    fn key(&self) -> String {
        self.key.clone().unwrap_or_else(|| "none".to_owned())
    }

    fn model(&self) -> Option<&String> {
        self.models.first()
    }
}

/// Nothing of these is needed to answer, and all of it would go elsewhere or cost the engine's prefix cache.
const QUIET: [(&str, &str); 11] = [
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_TELEMETRY", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "1"),
    ("CLAUDE_CODE_DISABLE_TERMINAL_TITLE", "1"),
    ("CLAUDE_CODE_ATTRIBUTION_HEADER", "0"),
    ("CLAUDE_CODE_TOTAL_TOKENS_REMINDER", "off"),
    ("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", "1"),
    // It may run a tool twice.
    ("CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK", "1"),
    // An hour: a long prompt on a slow machine.
    ("API_TIMEOUT_MS", "3600000"),
];

/// The names of models that Claude Code asks for.
const MODELS: [&str; 6] = [
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
];

/// Claude Code's variables.
pub(crate) fn claude(client_config: &ClientConfig) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("ANTHROPIC_BASE_URL", client_config.url.clone()),
        ("ANTHROPIC_AUTH_TOKEN", client_config.key()),
    ];
    if let Some(model) = client_config.model() {
        variables.extend(MODELS.map(|name| (name, model.clone())));
    }
    variables.extend(QUIET.map(|(name, value)| (name, value.to_owned())));
    variables
}

/// The variables that clients of the `OpenAI` API read.
pub(crate) fn openai(client_config: &ClientConfig) -> Vec<(&'static str, String)> {
    let base = format!("{}/v1", client_config.url);
    let mut variables = vec![
        ("OPENAI_BASE_URL", base.clone()),
        ("OPENAI_API_BASE", base),
        ("OPENAI_API_KEY", client_config.key()),
    ];
    variables.extend(client_config.model().map(|model| ("OPENAI_MODEL", model.clone())));
    variables
}

/// `opencode.json`.
pub(crate) fn opencode(client_config: &ClientConfig) -> String {
    let models: serde_json::Map<String, serde_json::Value> =
        client_config.models.iter().map(|name| (name.clone(), json!({"name": name}))).collect();
    let mut config = json!({
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": false,
        "share": "disabled",
        "provider": {"local": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "infer-dev",
            "options": {"baseURL": format!("{}/v1", client_config.url), "apiKey": client_config.key()},
            "models": models
        }}
    });
    if let Some(model) = client_config.model() {
        let model = format!("local/{model}");
        config["model"] = json!(model);
        // Titles come from it too, and from nowhere else.
        config["small_model"] = json!(model);
    }
    format!("{config:#}\n")
}

/// Codex's `config.toml`.
pub(crate) fn codex(client_config: &ClientConfig) -> String {
    let text = |value: &str| json!(value).to_string();
    let model = client_config.model().map_or(String::new(), |model| format!("model = {}\n", text(model)));
    let key = client_config.key.as_ref().map_or("", |_| "env_key = \"OPENAI_API_KEY\"\n");
    format!(
        "{model}model_provider = \"infer-dev\"\ncheck_for_update_on_startup = false\n\n\
         [analytics]\nenabled = false\n\n\
         [model_providers.infer-dev]\nname = \"infer-dev\"\nbase_url = {}\nwire_api = \"responses\"\n{key}",
        text(&format!("{}/v1", client_config.url))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_config() -> ClientConfig {
        ClientConfig {
            url: "http://127.0.0.1:1".to_owned(),
            key: Some("k'\"".to_owned()),
            models: vec!["a".to_owned(), "b".to_owned()],
        }
    }

    #[test]
    fn each_client_is_told_address_key_and_model() {
        let claude = claude(&client_config());
        let of = |name: &str| claude.iter().find(|(is, _)| *is == name).map(|(_, value)| value.as_str());
        assert_eq!(of("ANTHROPIC_BASE_URL"), Some("http://127.0.0.1:1"));
        assert_eq!(
            (of("ANTHROPIC_MODEL"), of("CLAUDE_CODE_TOTAL_TOKENS_REMINDER")),
            (Some("a"), Some("off"))
        );
        let openai = openai(&client_config());
        assert!(openai.contains(&("OPENAI_BASE_URL", "http://127.0.0.1:1/v1".to_owned())));
        let opencode: serde_json::Value = serde_json::from_str(&opencode(&client_config())).unwrap();
        assert_eq!(opencode["provider"]["local"]["options"]["apiKey"], "k'\"");
        assert_eq!(
            (opencode["model"].as_str(), opencode["provider"]["local"]["models"]["b"]["name"].as_str()),
            (Some("local/a"), Some("b"))
        );
        assert!(codex(&client_config()).contains("env_key"));
        assert!(!codex(&ClientConfig { key: None, ..client_config() }).contains("env_key"));
    }
}
