//! One server, and the short questions to it.
use crate::Error;
use crate::authority::authority;
use crate::resolver::BoundedResolver;
use crate::tls::Tls;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, Instant};
use ureq::http::{Response, Uri};
use ureq::unversioned::transport::{Connector, TcpConnector};
use ureq::{Agent, Body};

/// The longest answer that is read, streams excepted.
const ANSWER_LIMIT: u64 = 16 << 20;

const HEALTH: &str = "/health";
/// `LiteLLM` has every model generate something for `/health`; this path says only that it runs.
pub const LITELLM_HEALTH: &str = "/health/liveliness";
/// The instance of the bridge that is `LiteLLM`.
pub(crate) const LITELLM: &str = "litellm";

/// One server. Connections are kept between questions; no proxy is used, whatever the environment says.
#[derive(Clone)]
pub struct Target {
    base: String,
    health: &'static str,
    key: Option<String>,
    agent: Agent,
}

impl Target {
    /// The server that listens on `host` and `port`. One that listens on all interfaces is asked on loopback.
    #[must_use]
    pub fn at(host: &str, port: u16) -> Self {
        Self::new(format!("http://{}:{port}", authority(host)), Tls::none())
    }

    /// The server at a base URL, with or without `/v1`.
    ///
    /// # Errors
    /// What is wrong with the URL, in words.
    pub fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                let why = "https is spoken only with instances of ours, whose certificate their plan names";
                return Err(why.to_owned());
            }
            _ => return Err("it does not begin with http://".to_owned()),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("no host in it")?;
        if uri.query().is_some() {
            return Err("a query in it is not supported".to_owned());
        }
        let whole = uri.authority().map_or("", |whole| whole.as_str());
        if whole.contains('@') {
            return Err("a user name in it is not supported".to_owned());
        }
        let port = match uri.port_u16() {
            None if whole != host => return Err("its port is not one".to_owned()),
            port => port.unwrap_or(80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path);
        Ok(Self::new(format!("http://{}:{port}{path}", authority(host)), Tls::none()))
    }

    pub(crate) fn new(base: String, tls: Tls) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent("infer-dev")
            .input_buffer_size(16 << 10)
            .output_buffer_size(16 << 10)
            .build();
        let agent = Agent::with_parts(config, ().chain(TcpConnector::default()).chain(tls), BoundedResolver);
        Self { base, health: HEALTH, key: None, agent }
    }

    /// The same server, asked with this key.
    #[must_use]
    pub fn with_key(mut self, key: Option<String>) -> Self {
        self.key = key;
        self
    }

    /// The same server, whose health is another path.
    #[must_use]
    pub fn with_health(self, path: &'static str) -> Self {
        Self { health: path, ..self }
    }

    /// Base URL, without `/v1`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Whether `/health`, or what the server has for it, answers 200. Asked without the key, which no engine wants there.
    ///
    /// # Errors
    /// Anything but 200.
    pub fn health(&self, limit: Duration) -> Result<(), Error> {
        let call = self.agent.get(format!("{}{}", self.base, self.health));
        read_success(call.config().timeout_global(Some(limit)).build().call()?).map(drop)
    }

    /// The ids that `/v1/models` lists.
    ///
    /// # Errors
    /// Anything but 200 with a list of models.
    pub fn models(&self, limit: Duration) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Models {
            data: Vec<Model>,
        }
        #[derive(Deserialize)]
        struct Model {
            id: String,
        }
        let mut call = self.agent.get(format!("{}/v1/models", self.base));
        if let Some(key) = &self.key {
            call = call.header("Authorization", format!("Bearer {key}"));
        }
        let body = read_success(call.config().timeout_global(Some(limit)).build().call()?)?;
        let models: Models = serde_json::from_slice(&body).map_err(malformed)?;
        Ok(models.data.into_iter().map(|model| model.id).collect())
    }

    /// What a path answers, as text; asked with the key.
    ///
    /// # Errors
    /// Anything but 200.
    pub fn text(&self, path: &str, limit: Duration) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&read_success(self.open(path, limit)?)?).into_owned())
    }

    /// The head of what a path answers; asked with the key.
    pub(crate) fn open(&self, path: &str, limit: Duration) -> Result<Response<Body>, Error> {
        let mut call = self.agent.get(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            call = call.header("Authorization", format!("Bearer {key}"));
        }
        Ok(call.config().timeout_global(Some(limit)).build().call()?)
    }

    /// Whether the server knows this path for requests with a body: it refuses an empty one otherwise than by saying that
    /// there is no such path.
    ///
    /// # Errors
    /// No answer.
    pub fn accepts_post(&self, path: &str, limit: Duration) -> Result<bool, Error> {
        let answer = self.post(path, &json!({}), Timeouts { silence: limit, total: limit })?;
        Ok(!matches!(answer.status().as_u16(), 404 | 405 | 501))
    }

    /// Have one real token generated: by a chat, or by a plain completion where the server has no chat for the model. A chat
    /// that is refused for another reason, such as a template that cannot be parsed, is no answer. Both together take no longer
    /// than `limit`.
    ///
    /// # Errors
    /// Anything but a 200 with a choice in it. Where both are refused, what was said of the chat; what breaks over the other
    /// question is broken.
    pub fn generate_token(&self, model: &str, limit: Duration) -> Result<(), Error> {
        let messages = json!([{"role": "user", "content": "ping"}]);
        let chat = json!({"model": model, "messages": messages, "max_tokens": 1});
        let begun = Instant::now();
        let refused = match self.choice("/v1/chat/completions", &chat, limit) {
            Err(error) if has_no_chat(&error) => error,
            other => return other,
        };
        let plain = json!({"model": model, "prompt": "ping", "max_tokens": 1});
        let left = limit.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        self.choice("/v1/completions", &plain, left).map_err(|error| match error {
            Error::Status { code: 400..=499 | 501, .. } | Error::Malformed(_) => refused,
            broken => broken,
        })
    }

    fn choice(&self, path: &str, body: &Value, limit: Duration) -> Result<(), Error> {
        let answer = read_success(self.post(path, body, Timeouts { silence: limit, total: limit })?)?;
        let answer: Value = serde_json::from_slice(&answer).map_err(malformed)?;
        match answer.pointer("/choices/0") {
            Some(_) => Ok(()),
            None => Err(Error::Malformed("no choices in it".to_owned())),
        }
    }

    /// Send JSON.
    pub(crate) fn post(&self, path: &str, body: &Value, timeouts: Timeouts) -> Result<Response<Body>, Error> {
        let Timeouts { silence, total } = timeouts;
        let mut call = self.agent.post(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            call = call.header("Authorization", format!("Bearer {key}"));
        }
        let call = call.config().timeout_connect(Some(silence)).timeout_recv_response(Some(silence));
        let call = call.timeout_per_read(Some(silence)).timeout_global(Some(total)).build();
        let call = call.content_type("application/json");
        Ok(call.send(body.to_string())?)
    }
}

/// Whether a chat is refused because there is none. A model without a chat template is served by vLLM all the same.
fn has_no_chat(error: &Error) -> bool {
    let says = |message: &str| {
        let message = message.to_lowercase();
        ["no chat template", "must provide a chat template", "not support chat"]
            .iter()
            .any(|words| message.contains(words))
    };
    match error {
        Error::Status { code: 404 | 405 | 501, .. } => true,
        Error::Status { code: 400, message } => says(message),
        _ => false,
    }
}

/// How long a server gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// Until the head of the answer, and between two reads of its body.
    pub(crate) silence: Duration,
    /// From the first byte of the question to the last of the answer.
    pub(crate) total: Duration,
}

/// The key stays out of logs.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The body of a 200.
pub(crate) fn read_success(mut response: Response<Body>) -> Result<Vec<u8>, Error> {
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec();
    if status == 200 { Ok(body?) } else { Err(Error::status(status, &body.unwrap_or_default())) }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
pub(crate) fn malformed(error: serde_json::Error) -> Error {
    Error::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_with_and_without_v1() {
        let url = |text: &str| Target::parse(text).map(|target| target.url().to_owned());
        assert_eq!(url("http://127.0.0.1:1/v1/").unwrap(), "http://127.0.0.1:1");
        assert_eq!(url("http://127.0.0.1:1").unwrap(), "http://127.0.0.1:1");
        assert_eq!(url("http://[::]:1/v1").unwrap(), "http://[::1]:1");
        assert_eq!(url("http://host/prefix/v1").unwrap(), "http://host:80/prefix");
    }

    #[test]
    fn what_is_no_base_url_is_refused_in_words() {
        let refused = |text: &str| Target::parse(text).unwrap_err();
        assert_eq!(
            refused("https://h:1"),
            "https is spoken only with instances of ours, whose certificate their plan names"
        );
        assert_eq!(refused("127.0.0.1:8080"), "it does not begin with http://");
        assert!(refused("http://u:p@h:1").contains("user name"));
        assert!(refused("http://h:1/?a=b").contains("query"));
        assert_eq!(refused("http://h:99999"), "its port is not one");
        assert!(refused("http://h h").starts_with("not a URL"));
        assert!(refused("").starts_with("not a URL"));
    }
}
