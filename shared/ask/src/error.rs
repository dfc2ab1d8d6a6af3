//! Why a question got no good answer.
use crate::tls::Untrusted;
use serde_json::Value;
use std::fmt;
use std::io;

/// Why a question got no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nobody listens there, or the connection broke.
    Unreachable(String),
    /// The server's certificate is not the one that its plan names, or that one could not be read.
    Untrusted(String),
    /// No answer within the limit.
    TimedOut,
    /// An answer that is not 200.
    Status {
        /// The HTTP status.
        code: u16,
        /// What the engine says about it.
        message: String,
    },
    /// A 200 that is not what an OpenAI-compatible server sends.
    Malformed(String),
}

impl Error {
    /// A status that is not 200, with the message that its body holds.
    pub(crate) fn status(code: u16, body: &[u8]) -> Self {
        Self::Status { code, message: message(body) }
    }

    /// The HTTP status, where one was sent.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// The message in an error body: `error.message`, `error`, `message` or `detail`; else the first line.
pub(crate) fn message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let said = parsed.as_ref().and_then(|value| {
        let places = ["/error/message", "/error", "/message", "/detail"];
        places.iter().find_map(|place| value.pointer(place).filter(|found| !found.is_null()))
    });
    let words = match said {
        Some(Value::String(words)) => words.clone(),
        Some(other) => other.to_string(),
        None => text.lines().next().unwrap_or_default().trim().to_owned(),
    };
    words.chars().take(500).collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) | Self::Untrusted(cause) => f.write_str(cause),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Status { code, message } if message.is_empty() => write!(f, "HTTP {code}"),
            Self::Status { code, message } => write!(f, "HTTP {code}: {message}"),
            Self::Malformed(cause) => write!(f, "not the answer of an OpenAI-compatible server: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<ureq::Error> for Error {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::TimedOut,
            ureq::Error::Io(error) => error.into(),
            ureq::Error::HostNotFound => Self::Unreachable("no such host".to_owned()),
            ureq::Error::ConnectionFailed => Self::Unreachable("Connection refused".to_owned()),
            ureq::Error::Other(other) => match other.downcast::<Untrusted>() {
                Ok(why) => Self::Untrusted(why.0),
                Err(other) => Self::Malformed(other.to_string()),
            },
            other => Self::Malformed(other.to_string()),
        }
    }
}

impl From<io::Error> for Error {
    /// ureq hands its own errors through readers as `io::Error`.
    fn from(error: io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
            return Self::TimedOut;
        }
        let text = error.to_string();
        if let Some(inner) = error.into_inner().and_then(|inner| inner.downcast::<ureq::Error>().ok()) {
            return Self::from(*inner);
        }
        Self::Unreachable(text.split(" (os error ").next().unwrap_or(&text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_words_are_found_in_every_shape_of_error_body() {
        assert_eq!(message(br#"{"error":{"message":"Loading model","code":503}}"#), "Loading model");
        assert_eq!(message(br#"{"error":"Unauthorized"}"#), "Unauthorized");
        assert_eq!(message(br#"{"object":"error","message":"no such model"}"#), "no such model");
        assert_eq!(message(br#"{"detail":[{"loc":["body"]}]}"#), r#"[{"loc":["body"]}]"#);
        assert_eq!(message(b"Not Found\nmore"), "Not Found");
        assert_eq!(message(b""), "");
    }

    #[test]
    fn a_status_reads_as_the_engine_put_it() {
        let error = Error::status(401, br#"{"error":{"message":"Invalid API Key"}}"#);
        assert_eq!(error.to_string(), "HTTP 401: Invalid API Key");
        assert_eq!(Error::status(502, b"").to_string(), "HTTP 502");
    }
}
