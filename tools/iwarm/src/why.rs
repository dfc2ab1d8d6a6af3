//! Why pixi failed, as far as its last words tell, and what to do then.
use crate::workshop::NO_LOCKS;
use pixi::Ended;
use std::path::Path;
use tool::Failure;

/// The failure, with what to do about it where that is known.
pub(crate) fn failure(ended: &Ended, root: &Path) -> Failure {
    let said = plain(&ended.tail);
    let mut failure = ended.failure(format!("cannot warm the cache {}", root.display()));
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let hint = if let Some(package) = virtual_package(&said) {
        let variable = format!("CONDA_OVERRIDE_{}", package.to_uppercase());
        let example = if package == "cuda" { format!(", as in {variable}=12.8") } else { String::new() };
        format!(
            "this machine has no such {package}: set {variable} to the version that the target has{example}"
        )
    } else if says(&["No space left on device", "Disk quota exceeded", "os error 28", "os error 122"]) {
        if let Some(free) = free_mib(root) {
            failure.cause.push_str(&format!("; {free} MiB are free on the disk of {}", root.display()));
        }
        "make room there and run again; what is in the cache already is not fetched again".to_owned()
    } else if says(&["No locks available", "os error 37"]) {
        NO_LOCKS.to_owned()
    } else if says(&["fetch", "download", "sending request", "connect", "dns", "HTTP"]) {
        network(&proxies())
    } else {
        "the last lines of pixi are above; it is run as: pixi install --frozen".to_owned()
    };
    failure.hint(hint)
}

/// All that was said on one line, without the lines that pixi draws around its errors.
fn plain(tail: &[String]) -> String {
    let words = tail.iter().flat_map(|line| line.split_whitespace());
    words.filter(|word| word.contains(|letter: char| letter.is_ascii())).collect::<Vec<_>>().join(" ")
}

/// The virtual package that this machine lacks: `cuda` of `Virtual package '__cuda >=12' does not match any …`.
fn virtual_package(said: &str) -> Option<&str> {
    let (_, name) = said.split_once("Virtual package '__")?;
    name.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()
}

fn free_mib(root: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(root).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize) >> 20)
}

/// The proxy variables that are set: never what to.
fn proxies() -> Vec<String> {
    const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    let names = set.filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| NAMES.contains(&name.to_lowercase().as_str())).collect();
    names.sort();
    names
}

fn network(proxies: &[String]) -> String {
    let through = match proxies {
        [] => "no proxy variable is set: where this machine needs one, set https_proxy".to_owned(),
        names => format!("pixi was given {}", names.join(", ")),
    };
    format!("{through}; mirrors are set in pixi's own configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_and_framed_error_is_read_as_one_line() {
        let tail = [
            "Error:   × Virtual package '__cuda >=12' does not match any of the",
            "  │ available virtual packages",
        ];
        let said = plain(&tail.map(str::to_owned));
        assert_eq!(
            said,
            "Error: Virtual package '__cuda >=12' does not match any of the available virtual packages"
        );
        assert_eq!(virtual_package(&said), Some("cuda"));
        assert_eq!(virtual_package("Virtual package '__cuda_arch' does"), Some("cuda_arch"));
        assert_eq!(virtual_package("no such thing"), None);
    }
}
