//! A plan, written for another keeper: systemd, Quadlet, Compose, Kubernetes.
//!
//! Owns what each of them calls the parts of a plan, and how it quotes words. What is written holds no secret: it names where
//! the keeper has each from. Starts nothing and writes no file; `iplan` is its caller.
mod compose;
mod container;
mod kube;
mod quadlet;
mod quote;
mod secret;
mod systemd;

use record::Plan;

/// Who is to keep the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// A unit of systemd's for each.
    Systemd,
    /// A Quadlet of podman's for each.
    Quadlet,
    /// One file with a service for each.
    Compose,
    /// One file with a Pod for each.
    Kube,
}

impl Keeper {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Systemd, Self::Quadlet, Self::Compose, Self::Kube];

    /// Its name on the command line.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Quadlet => "quadlet",
            Self::Compose => "compose",
            Self::Kube => "kube",
        }
    }
}

/// The image of the containers, and the machine that they run on.
#[derive(Clone, Debug)]
pub struct ContainerContext<'a> {
    /// The image; it has the C library and `iprobe`.
    pub image: &'a str,
    /// Whether this machine has GPUs: all of them are only then asked for.
    pub gpus: bool,
}

/// One file, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// Write the plans for this keeper.
#[must_use]
pub fn emit(keeper: Keeper, plans: &[Plan], around: &ContainerContext<'_>) -> Vec<File> {
    match keeper {
        Keeper::Systemd => plans.iter().map(systemd::unit).collect(),
        Keeper::Quadlet => plans.iter().map(|plan| quadlet::container(plan, around)).collect(),
        Keeper::Compose => compose::project(plans, around).into_iter().collect(),
        Keeper::Kube => kube::pods(plans, around).into_iter().collect(),
    }
}

/// What an instance is called among others on its machine: a name that all keepers take.
fn name(plan: &Plan) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let instance: String = plan.instance.chars().map(plain).collect();
    format!("infer-dev-{}-{}", plan.engine, instance.trim_matches('-'))
}

/// The same of the instance that has to be healthy first.
fn name_of_first(plan: &Plan, plans: &[Plan]) -> Option<String> {
    let after = plan.after.as_ref()?;
    plans.iter().find(|other| other.state_dir == *after).map(name)
}

/// What stands above what is written: what it is of, and what it lacks.
fn heading(plan: &Plan, more: &[String]) -> String {
    let mut text = format!(
        "# {} {}, planned by infer-dev from {}\n# plan {}\n",
        plan.engine,
        plan.instance,
        plan.config.display(),
        plan.hash
    );
    for line in more {
        text.push_str(&format!("# {line}\n"));
    }
    text.push_str(&lacks(plan));
    text
}

/// What our own keeper does and this one will not.
fn lacks(plan: &Plan) -> String {
    let control = &plan.control;
    let asked = [
        (control.idle_stop_s.is_some(), "idle_stop_s"),
        (control.watch_egress, "watch_egress"),
        (control.liveness == record::Liveness::Answer, "liveness = \"answer\""),
    ];
    let names: Vec<&str> = asked.into_iter().filter(|(asked, _)| *asked).map(|(_, name)| name).collect();
    if names.is_empty() { String::new() } else { format!("# only ikeep has: {}\n", names.join(", ")) }
}

/// Where the server is asked from its own machine.
fn url(plan: &Plan) -> String {
    let host = match plan.host.as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let scheme = plan.scheme.as_deref().unwrap_or("http");
    format!("{scheme}://{host}:{}{}", plan.port, plan.path_prefix.as_deref().unwrap_or_default())
}
