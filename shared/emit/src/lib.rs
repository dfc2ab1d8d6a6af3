//! A plan, written for another keeper: systemd, Quadlet, Compose, Kubernetes.
//!
//! Owns what each of them calls the parts of a plan, and how it quotes words. What is written holds no secret: it names where
//! the keeper has each from. Starts nothing and writes no file; `iplan` is its caller.
mod compose;
mod container;
mod file;
mod kube;
mod name;
mod quadlet;
mod quote;
mod secret;
mod systemd;

pub use container::ContainerContext;
pub use file::File;

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
