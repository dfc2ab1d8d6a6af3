//! What a variable's value may be. A check gives the value as it goes on the wire, or says why not.
use std::path::Path;

/// Why a value is refused, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidValue {
    pub(crate) cause: String,
    pub(crate) hint: &'static str,
}

/// A check of one kind of value.
pub(crate) type Check = fn(&str) -> Result<String, InvalidValue>;

/// Any text.
pub(crate) fn text(value: &str) -> Result<String, InvalidValue> {
    Ok(value.to_owned())
}

/// A boolean, as `1` or `0`.
pub(crate) fn boolean(value: &str) -> Result<String, InvalidValue> {
    let hint = "set it to 1, true, yes or on, or to 0, false, no or off";
    match tool::vars::boolean(value) {
        Some(true) => Ok("1".to_owned()),
        Some(false) => Ok("0".to_owned()),
        None => invalid(value, "is not a boolean", hint),
    }
}

/// An absolute path.
pub(crate) fn path(value: &str) -> Result<String, InvalidValue> {
    if Path::new(value).is_absolute() {
        return Ok(value.to_owned());
    }
    let hint = if value.starts_with('~') {
        "write the home directory out; only a shell expands ~"
    } else {
        "give the whole path, from / on"
    };
    invalid(value, "is not an absolute path", hint)
}

/// The name of a pixi environment, which is the name of a folder too.
pub(crate) fn environment_name(value: &str) -> Result<String, InvalidValue> {
    let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    if !value.starts_with(['.', '-']) && !value.contains(odd) {
        return Ok(value.to_owned());
    }
    invalid(value, "is not the name of an environment", "give a name from [environments] of pixi.toml")
}

/// A sha256 in hex, as lower case.
pub(crate) fn sha256(value: &str) -> Result<String, InvalidValue> {
    if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(value.to_ascii_lowercase());
    }
    invalid(value, "is not a sha256", "give the 64 hexadecimal digits that sha256sum prints")
}

/// What a failed boot does to the container.
pub(crate) fn boot_failure(value: &str) -> Result<String, InvalidValue> {
    choice(value, &["continue", "stop"], "set it to continue or stop")
}

/// The bridge's mode.
pub(crate) fn mode(value: &str) -> Result<String, InvalidValue> {
    choice(value, &["auto", "native", "translate", "litellm"], "set it to auto, native, translate or litellm")
}

/// A TCP port.
pub(crate) fn port(value: &str) -> Result<String, InvalidValue> {
    match value.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port.to_string()),
        _ => invalid(value, "is not a port", "give a number from 1 to 65535"),
    }
}

/// A host's name or address, without a port.
pub(crate) fn host(value: &str) -> Result<String, InvalidValue> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
    if bare.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(format!("[{bare}]"));
    }
    if !value.is_empty() && value.chars().all(plain) {
        return Ok(value.to_owned());
    }
    invalid(value, "is not a host", "give an address such as 127.0.0.1, or a host's name")
}

/// `HOST:PORT`.
pub(crate) fn address(value: &str) -> Result<String, InvalidValue> {
    let parts =
        value.rsplit_once(':').and_then(|(name, number)| Some((host(name).ok()?, port(number).ok()?)));
    match parts {
        // An IPv6 address without brackets could end in what looks like a port.
        Some((host, port)) if host.starts_with('[') == value.starts_with('[') => Ok(format!("{host}:{port}")),
        _ => invalid(value, "is not HOST:PORT", "give an address and a port, such as 127.0.0.1:11899"),
    }
}

/// A base URL. One with a user or a password in it is refused, without being shown: records hold no secrets.
pub(crate) fn url(value: &str) -> Result<String, InvalidValue> {
    let rest = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let hint = "give a base URL such as http://127.0.0.1:8080";
    if authority.contains('@') {
        return Err(InvalidValue { cause: "it holds a user or a password".to_owned(), hint });
    }
    if authority.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return invalid(value, "is not an http URL", hint);
    }
    Ok(value.trim_end_matches('/').to_owned())
}

/// A user of this machine, by name or number; gives the name.
pub(crate) fn user(value: &str) -> Result<String, InvalidValue> {
    let hint = "name a user that this machine knows, or unset it";
    match child::User::named(value) {
        Ok(Some(user)) => Ok(user.name),
        Ok(None) => invalid(value, "is not a user of this machine", hint),
        Err(error) => invalid(value, &format!("cannot be looked up: {error}"), hint),
    }
}

/// A JSON object. The value is never shown: it may hold secrets.
pub(crate) fn json_object(value: &str) -> Result<String, InvalidValue> {
    let hint =
        "give a JSON object in the shape of the TOML, such as {\"instance\":{\"server\":{\"port\":8081}}}";
    let cause = match serde_json::from_str(value) {
        Ok(serde_json::Value::Object(_)) => return Ok(value.to_owned()),
        Ok(_) => "it is JSON, but not an object".to_owned(),
        Err(error) => format!("it is not JSON: {error}"),
    };
    Err(InvalidValue { cause, hint })
}

fn choice(value: &str, known: &[&str], hint: &'static str) -> Result<String, InvalidValue> {
    if known.contains(&value) { text(value) } else { invalid(value, "is not one of its values", hint) }
}

/// Refuse a value that may be shown; what does not print in it is escaped.
fn invalid(value: &str, why: &str, hint: &'static str) -> Result<String, InvalidValue> {
    Err(InvalidValue { cause: format!("'{}' {why}", value.escape_debug()), hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(check: Check, good: &[(&str, &str)], bad: &[&str]) {
        for (value, wire) in good {
            assert_eq!(check(value).as_deref(), Ok(*wire), "{value}");
        }
        for value in bad {
            assert!(check(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn each_kind_of_value_is_told_from_what_it_is_not() {
        table(boolean, &[("YES", "1"), ("off", "0"), ("", "0")], &["maybe", "1 "]);
        table(path, &[("/a/b", "/a/b"), ("/", "/")], &["a", "./a", "~/a", "file:///a"]);
        table(environment_name, &[("cu128", "cu128"), ("gpu-12", "gpu-12")], &["..", "a/b", "-e", "a b"]);
        table(port, &[("1", "1"), ("65535", "65535")], &["0", "65536", "http", "-1", "80/tcp"]);
        table(boot_failure, &[("stop", "stop"), ("continue", "continue")], &["halt", "STOP"]);
        table(mode, &[("auto", "auto"), ("litellm", "litellm")], &["proxy", "Auto"]);
    }

    #[test]
    fn addresses_keep_their_brackets() {
        table(host, &[("::1", "[::1]"), ("[::1]", "[::1]"), ("gpu-3.lan", "gpu-3.lan")], &["a b", "a:1", ""]);
        let good =
            [("0.0.0.0:11899", "0.0.0.0:11899"), ("[::]:80", "[::]:80"), ("localhost:1", "localhost:1")];
        table(address, &good, &["11899", ":11899", "127.0.0.1", "::1:80", "a:0", "http://a:1", "a:99999"]);
    }

    #[test]
    fn a_sha256_goes_on_in_lower_case() {
        let upper = "AB".repeat(32);
        assert_eq!(sha256(&upper), Ok("ab".repeat(32)));
        table(sha256, &[], &["ab", &"g".repeat(64), &format!("sha256:{}", "a".repeat(64))]);
    }

    #[test]
    fn a_url_with_a_password_is_refused_unseen() {
        let good = [("http://h:1/v1/", "http://h:1/v1"), ("https://h", "https://h")];
        table(url, &good, &["h:1", "ftp://h", "http://", "http:///v1", "http://h h"]);
        let refused = url("http://me:hunter2@h:1").unwrap_err();
        assert_eq!(refused.cause, "it holds a user or a password");
    }

    #[test]
    fn overrides_are_an_object_and_never_shown() {
        assert!(json_object(r#"{"instance":{"server":{"api_key":"hunter2"}}}"#).is_ok());
        for bad in [r#""hunter2""#, r#"["hunter2"]"#, r#"{"a": hunter2}"#, "hunter2", r#"{"a":"hunter2"#] {
            let refused = json_object(bad).unwrap_err();
            assert!(!refused.cause.contains("hunter2"), "{}", refused.cause);
        }
    }
}
