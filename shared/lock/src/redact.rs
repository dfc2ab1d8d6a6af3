//! A location as it may be shown: lock files hold credentials where somebody's index asks for them.

/// What stands in for a secret.
const REDACTED: &str = "***";

/// A location without its credentials: user and password (over ssh the user is none), a channel's token (`/t/TOKEN/`), and
/// query parameters that are named like secrets.
#[must_use]
pub fn redact(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else { return location.to_owned() };
    let (authority, rest) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let (path, query) = rest.find(['?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user = user.split(':').next().filter(|user| scheme.ends_with("ssh") && !user.is_empty());
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    format!("{scheme}://{user}{host}{}{}", without_token(path), redact_query(query))
}

fn without_token(path: &str) -> String {
    let Some(rest) = path.strip_prefix("/t/") else { return path.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    format!("/t/{REDACTED}{}", &rest[end..])
}

/// A query (`?a=b&token=c`, and the fragment behind it) without the values of parameters that are named like secrets.
#[must_use]
pub fn redact_query(query: &str) -> String {
    let Some(query) = query.strip_prefix('?') else { return query.to_owned() };
    let (query, fragment) = query.find('#').map_or((query, ""), |at| query.split_at(at));
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={REDACTED}"),
        _ => parameter.to_owned(),
    });
    format!("?{}{fragment}", parameters.collect::<Vec<_>>().join("&"))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    ["key", "token", "password", "secret", "signature", "credential", "sig"]
        .iter()
        .any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_and_the_rest_stays() {
        for (location, expected) in [
            ("https://me:word@x.invalid/a/b.whl", "https://x.invalid/a/b.whl"),
            ("https://token@x.invalid:8080/a", "https://x.invalid:8080/a"),
            (
                "https://x.invalid/t/abc-123/channel/noarch/a-1-0.conda",
                "https://x.invalid/t/***/channel/noarch/a-1-0.conda",
            ),
            (
                "https://x.invalid/a.whl?X-Amz-Signature=ab&part=1#sha",
                "https://x.invalid/a.whl?X-Amz-Signature=***&part=1#sha",
            ),
            ("git+ssh://git:word@x.invalid/a@1f", "git+ssh://git@x.invalid/a@1f"),
            ("git+https://x.invalid/a.git?tag=v1#1f", "git+https://x.invalid/a.git?tag=v1#1f"),
            ("./links/a@b.whl", "./links/a@b.whl"),
            ("https://x.invalid", "https://x.invalid"),
        ] {
            assert_eq!(redact(location), expected);
        }
    }
}
