//! Which API a caller speaks, from the path and the headers.
use hyper::HeaderMap;

/// An API, which is the shape of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Anthropic,
    OpenAi,
}

/// The caller's API.
pub(crate) fn api(path: &str, headers: &HeaderMap) -> Api {
    let anthropic = path.starts_with("/v1/messages") || path.starts_with("/api/");
    if anthropic || headers.contains_key("anthropic-version") { Api::Anthropic } else { Api::OpenAi }
}
