//! What an instance is called, and where it is asked, on its machine.
use record::Plan;

/// What an instance is called among others on its machine: a name that all keepers take.
pub(crate) fn name(plan: &Plan) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let instance: String = plan.instance.chars().map(plain).collect();
    format!("infer-dev-{}-{}", plan.engine, instance.trim_matches('-'))
}

/// The same of the instance that has to be healthy first.
pub(crate) fn name_of_first(plan: &Plan, plans: &[Plan]) -> Option<String> {
    let after = plan.after.as_ref()?;
    plans.iter().find(|other| other.state_dir == *after).map(name)
}

/// Where the server is asked from its own machine.
pub(crate) fn url(plan: &Plan) -> String {
    let host = match plan.host.as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let scheme = plan.scheme.as_deref().unwrap_or("http");
    format!("{scheme}://{host}:{}{}", plan.port, plan.path_prefix.as_deref().unwrap_or_default())
}
