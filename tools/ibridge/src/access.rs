//! Who may ask: the key that clients present, and the names under which a browser may have found us.
use crate::refusal::Refusal;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, ORIGIN};
use owner::Dir;
use std::hint::black_box;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// The key's file in the workspace, where the operator names none.
const KEY_NAME: &str = "bridge-key";
/// The variable with a key, which is kept from the LiteLLM set-up.
pub(crate) const KEY_VARIABLE: &str = "AUTO_INFER_LITELLM_MASTER_KEY";

/// Who may ask.
pub(crate) struct Access {
    /// All that `listen` means.
    pub(crate) addresses: Vec<SocketAddr>,
    key: Option<String>,
    /// Nobody but this machine reaches us.
    loopback: bool,
    /// The host that was named to listen on.
    host: String,
}

impl Access {
    /// # Errors
    /// Code 69: the address means nothing, the key cannot be read or made.
    pub(crate) fn new(
        listen: &str,
        file: Option<PathBuf>,
        workspace: Option<&Path>,
    ) -> Result<Self, Failure> {
        let cannot =
            |error: &io::Error| Failure::io(Code::Unmet, format!("cannot listen on {listen}"), error);
        let addresses: Vec<SocketAddr> = listen.to_socket_addrs().map_err(|error| cannot(&error))?.collect();
        let loopback = addresses.iter().all(|address| address.ip().is_loopback());
        let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host).to_owned();
        let key = match (file, std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty())) {
            (Some(file), _) => Some(key_in(&file)?),
            (None, Some(key)) => Some(key),
            (None, None) if loopback => None,
            (None, None) => Some(made_key(workspace.unwrap_or(Path::new("/offline-data")))?),
        };
        Ok(Self { addresses, key, loopback, host })
    }

    /// Whether this request may be answered at all.
    pub(crate) fn admit(&self, headers: &HeaderMap, is_open: bool) -> Result<(), Refusal> {
        if self.loopback {
            self.check_names(headers)?;
        }
        match &self.key {
            Some(key)
                if !is_open && !presented(headers).any(|given| same(given.as_bytes(), key.as_bytes())) =>
            {
                let text = "this bridge wants a key, as x-api-key or as Authorization: Bearer; 'ibridge env' prints it to its owner";
                Err(Refusal::new(401, text))
            }
            _ => Ok(()),
        }
    }

    /// The key that clients present.
    pub(crate) fn key(&self) -> Option<&String> {
        self.key.as_ref()
    }

    /// Whether clients have to present a key.
    pub(crate) fn wants_key(&self) -> bool {
        self.key.is_some()
    }

    /// A page from elsewhere whose name was made to lead here sends that name.
    fn check_names(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        if headers.contains_key(HOST) && !host.is_some_and(|host| self.is_ours(host)) {
            return Err(Refusal::new(403, "the Host of this request is not this bridge"));
        }
        let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        let ours = |origin: &str| {
            let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            rest.is_some_and(|host| self.is_ours(host))
        };
        match origin {
            Some(origin) if !ours(origin) => {
                Err(Refusal::new(403, "the Origin of this request is not on this machine"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a host, with or without a port, is a name of this machine for itself.
    fn is_ours(&self, authority: &str) -> bool {
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
            None => authority.split_once(':').map_or(authority, |(host, _)| host),
        };
        let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        is_loopback || host.eq_ignore_ascii_case("localhost") || host.eq_ignore_ascii_case(&self.host)
    }
}

/// The key in a file that the operator names.
fn key_in(file: &Path) -> Result<String, Failure> {
    ask::read_key(file).map_err(|error| {
        Failure::io(Code::Unmet, format!("cannot read the key in {}", file.display()), &error)
    })
}

/// Where the key is made.
pub(crate) fn made_key_file(workspace: &Path) -> PathBuf {
    workspace.join(KEY_NAME)
}

/// The key that was made before, or a new one, for our own eyes only.
fn made_key(workspace: &Path) -> Result<String, Failure> {
    let file = made_key_file(workspace);
    let cannot = |error: &io::Error| {
        Failure::io(Code::Unmet, format!("cannot make the key {}", file.display()), error).hint(
            "name a file with a key by --key-file or AUTO_INFER_BRIDGE_KEY_FILE, or listen on 127.0.0.1",
        )
    };
    let make = || {
        let folder = Dir::open(workspace)?;
        if let Some(key) = folder.read(KEY_NAME, 4096)?.and_then(|key| String::from_utf8(key).ok()) {
            return Ok(key);
        }
        let mut bytes = [0_u8; 24];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        let key = base16ct::lower::encode_string(&bytes);
        folder.replace(KEY_NAME, 0o600, format!("{key}\n").as_bytes())?;
        Ok(key)
    };
    let key = make().map_err(|error: io::Error| cannot(&error))?.trim().to_owned();
    if key.is_empty() { Err(cannot(&io::Error::other("it is empty"))) } else { Ok(key) }
}

/// Every key that a request shows.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let plain = headers.get_all("x-api-key").iter().filter_map(|key| key.to_str().ok()).map(str::to_owned);
    let authorization = headers.get_all(AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
    plain.chain(authorization.filter_map(of_authorization))
}

/// The key of `Bearer KEY`, or the password of `Basic …`.
fn of_authorization(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = decode(rest.trim())?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

/// base64.
fn decode(text: &str) -> Option<String> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Whether two keys are the same, in a time that depends on what was presented alone.
fn same(given: &[u8], key: &[u8]) -> bool {
    let mut different = u8::from(given.len() != key.len());
    for (at, byte) in given.iter().enumerate() {
        different |= byte ^ key[at % key.len().max(1)];
    }
    black_box(different) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(listen: &str, key: Option<&str>) -> Access {
        let addresses = listen.to_socket_addrs().unwrap().collect();
        Access { addresses, key: key.map(str::to_owned), loopback: true, host: "127.0.0.1".to_owned() }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (hyper::header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_key_is_taken_in_each_form_and_nothing_else_is() {
        let access = access("127.0.0.1:1", Some("s3cret"));
        let status = |pairs: &[(&'static str, &str)]| {
            access.admit(&headers(pairs), false).map_err(|refusal| refusal.status)
        };
        assert_eq!(status(&[("x-api-key", "s3cret")]), Ok(()));
        assert_eq!(status(&[("authorization", "Bearer s3cret")]), Ok(()));
        assert_eq!(status(&[("authorization", "bearer s3cret"), ("x-api-key", "other")]), Ok(()));
        assert_eq!(status(&[("authorization", "Basic bWU6czNjcmV0")]), Ok(()));
        for wrong in ["", "s3cre", "s3cret ", "s3crets", "S3CRET", "s3crets3cret"] {
            assert_eq!(status(&[("authorization", &format!("Bearer {wrong}x"))]), Err(401), "{wrong:?}");
        }
        assert_eq!(status(&[]), Err(401));
        assert!(access.admit(&headers(&[]), true).is_ok());
    }

    #[test]
    fn names_that_lead_here_from_elsewhere_are_refused() {
        let access = access("127.0.0.1:1", None);
        let status = |pairs: &[(&'static str, &str)]| {
            access.admit(&headers(pairs), false).map_err(|refusal| refusal.status)
        };
        for host in ["localhost:11899", "127.0.0.1", "[::1]:8080", "127.1.2.3:1", "LOCALHOST"] {
            assert_eq!(status(&[("host", host)]), Ok(()), "{host}");
            assert_eq!(status(&[("host", host), ("origin", &format!("http://{host}"))]), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:80", "10.0.0.1", "", "127.0.0.1.nip.io"] {
            assert_eq!(status(&[("host", host)]), Err(403), "{host}");
        }
        for origin in ["http://evil.example", "null", "file://", "http://localhost.evil.example"] {
            assert_eq!(status(&[("host", "localhost"), ("origin", origin)]), Err(403), "{origin}");
        }
    }
}
