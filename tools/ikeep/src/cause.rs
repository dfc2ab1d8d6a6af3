//! Why an engine ended by itself: what its log, its exit and the kernel's memory accounts say.
use diagnose::{Class, Diagnosis, Exit, diagnose};
use record::{Engine, Plan};
use std::fs::read_to_string;
use std::io;
use std::net::TcpListener;
use std::process::ExitStatus;

/// Find out, now that everything it wrote is in the log. Nothing of the log is kept.
pub(crate) fn of(plan: &Plan, exit: ExitStatus, oom_killed: bool) -> Diagnosis {
    let exit = Exit { oom_killed, ..exit.into() };
    let mut found = diagnose(plan.engine, exit, &state::log_since_start(&plan.log_file));
    if plan.engine == Engine::LlamaCpp && found.class == Class::PortInUse && !is_for_the_port(plan) {
        found.class = Class::Address;
        found.hint = Class::Address.hint(plan.engine, None);
    }
    found
}

/// llama.cpp says of whatever is wrong with its address that it could not bind: so the system is asked.
fn is_for_the_port(plan: &Plan) -> bool {
    let tls = plan.args.iter().any(|argument| argument.starts_with("--ssl-"));
    let mut hosts = plan.host.split(',').filter(|host| !host.ends_with(".sock"));
    hosts.all(|host| match TcpListener::bind((host, plan.port)) {
        // Whoever held the port may be gone by now; what goes with TLS is refused in the same words.
        Ok(_) => !tls,
        Err(error) => error.kind() == io::ErrorKind::AddrInUse,
    })
}

/// Why a program could not even be started.
pub(crate) fn of_refusal(error: &io::Error) -> Option<Class> {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => Some(Class::MissingFile),
        Some(rustix::io::Errno::NOMEM) => Some(Class::OomHost),
        _ => None,
    }
}

/// How many processes of our memory cgroup the kernel has killed because memory ran out; unknown where it does not say.
pub(crate) fn oom_kills() -> Option<u64> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let mut found = groups.lines().filter_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.events"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.oom_control"),
            _ => return None,
        };
        // A container may see its own group as the root, whatever the path says.
        let read = |path: &str| read_to_string(format!("{root}{path}/{file}")).ok();
        count(&read(path.trim_end_matches('/')).or_else(|| read(""))?)
    });
    found.next()
}

fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_either_kind_of_cgroup() {
        assert_eq!(count("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\n"), None);
    }

    #[test]
    fn what_cannot_be_started_has_a_class_where_the_system_tells() {
        let class = |number| of_refusal(&io::Error::from_raw_os_error(number));
        assert_eq!((class(2), class(12), class(11)), (Some(Class::MissingFile), Some(Class::OomHost), None));
    }
}
