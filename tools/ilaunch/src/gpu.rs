//! Memory of the chosen GPUs that others hold, looked at before anything starts.
use crate::replacements::Replacements;
use gpu::{Device, Holder, Selection};
use plan::{GPU_MEMORY, Options};
use record::{Plan, Warning};
use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tool::{Code, Failure, Io};
use tree::Process;

/// What drivers may hold themselves, and count as used.
const DRIVER: u64 = 1 << 30;
/// How long memory that is being given back is waited for.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// Warn of plans on whose GPUs others hold memory, fail those that have nothing left there, or only what a killed keeper
/// has left; gives back what may start. Nobody is asked where no plan cares.
pub(crate) fn check(
    plans: Vec<Plan>,
    when: CheckTime<'_>,
    options: &Options,
    io: &mut Io,
) -> Result<Vec<Plan>, Failure> {
    if !plans.iter().any(|plan| when.applies_to(plan)) {
        return Ok(plans);
    }
    let Some(found) = read_until_settled(&plans, when, options) else { return Ok(plans) };
    let mut may_start = Vec::new();
    for plan in plans {
        match found.objection(&plan, when, options) {
            Some(Objection::Refused(failure)) => {
                io.fail((plan.engine, plan.instance.as_str()), failure)?;
                continue;
            }
            Some(Objection::Shared(what)) => io.warn(Warning {
                engine: Some(plan.engine),
                instance: Some(plan.instance.clone()),
                rule: GPU_MEMORY.to_owned(),
                what,
                hint: HINT.to_owned(),
            })?,
            None => {}
        }
        may_start.push(plan);
    }
    Ok(may_start)
}

const HINT: &str = "stop who holds it, choose other gpu_ids, or set control.share_gpu = true";

/// When the plans are checked.
#[derive(Clone, Copy)]
pub(crate) enum CheckTime<'a> {
    /// What runs in their place is to be stopped: what it holds will be free by then.
    BeforeStop,
    /// They start now, but for those that were checked before the stop.
    BeforeStart(&'a Replacements),
}

impl CheckTime<'_> {
    fn applies_to(self, plan: &Plan) -> bool {
        let allowed = plan.control.allow.iter().any(|rule| rule == GPU_MEMORY);
        let checked = matches!(self, Self::BeforeStart(replacements) if replacements.has(&plan.state_dir));
        plan.gpu_ids != "none" && !plan.control.share_gpu && !plan.reused && !allowed && !checked
    }
}

/// What there is, once it has stopped becoming less: drivers take back the memory of the dead in steps.
fn read_until_settled(plans: &[Plan], when: CheckTime<'_>, options: &Options) -> Option<GpuUse> {
    let until = Instant::now() + LIMIT;
    let mut found = GpuUse::look(plans)?;
    while plans.iter().any(|plan| found.objection(plan, when, options).is_some()) && Instant::now() < until {
        thread::sleep(PAUSE);
        let later = GpuUse::look(plans)?;
        let falls = later.used() < found.used();
        found = later;
        if !falls {
            break;
        }
    }
    Some(found)
}

/// Why a plan should not start, or not without a warning.
enum Objection {
    Refused(Failure),
    Shared(String),
}

/// What nvidia-smi said, and which processes are ours.
struct GpuUse {
    devices: Vec<Device>,
    holders: Vec<Holder>,
    /// Every process of every instance that is kept in the run directories of these plans.
    ours: BTreeSet<u32>,
    /// Holders that carry an instance id and have no keeper.
    orphans: BTreeSet<u32>,
}

impl GpuUse {
    fn look(plans: &[Plan]) -> Option<Self> {
        let (devices, holders) = thread::scope(|scope| {
            let holders = tool::thread::start_scoped(scope, "holders", gpu::holders);
            let devices = gpu::devices();
            // Without a thread one question comes after the other.
            (devices, holders.map_or_else(|_| gpu::holders(), |thread| thread.join().ok().flatten()))
        });
        let (devices, holders) = (devices?, holders.unwrap_or_default());
        let left_behind = |pid: &u32| tree::instance_id(*pid).is_some() && !is_kept(*pid);
        let orphans = holders.iter().map(|holder| holder.pid).filter(left_behind).collect();
        Some(Self { devices, holders, ours: ours(plans), orphans })
    }

    fn used(&self) -> u64 {
        self.devices.iter().filter_map(|device| device.memory).map(|memory| memory.used_bytes).sum()
    }

    fn objection(&self, plan: &Plan, when: CheckTime<'_>, options: &Options) -> Option<Objection> {
        if !when.applies_to(plan) {
            return None;
        }
        let chosen = gpu::select(&plan.gpu_ids, visible(plan, options), &self.devices);
        if let Some(orphan) = self.orphan(&chosen) {
            let what = format!("cannot start {} {} on GPU {}", plan.engine, plan.instance, orphan.0.index);
            let cause = format!("what a killed keeper has left holds its memory: {}", name(orphan.1));
            return Some(refused(
                Failure::new(Code::Later, what, cause).hint("end it with istop, or by hand"),
            ));
        }
        let held: Vec<String> = chosen.filter(&self.devices).filter_map(|device| self.held(device)).collect();
        if held.is_empty() {
            return None;
        }
        let held = format!("others hold {}", held.join(", and "));
        let mut full =
            chosen.filter(&self.devices).map(|device| is_full(device) && self.held(device).is_some());
        // Of all GPUs a server may take those that are free; a list is meant as a whole.
        let nothing_left = if plan.gpu_ids == "all" { full.all(|full| full) } else { full.any(|full| full) };
        if nothing_left && !matches!(when, CheckTime::BeforeStop) {
            let what = format!("no GPU memory is left for {} {}", plan.engine, plan.instance);
            return Some(refused(Failure::new(Code::Later, what, held).hint(HINT)));
        }
        Some(Objection::Shared(held))
    }

    fn orphan(&self, chosen: &Selection) -> Option<(&Device, &Holder)> {
        chosen.filter(&self.devices).find_map(|device| {
            let on = |holder: &&Holder| holder.uuid == device.uuid && self.orphans.contains(&holder.pid);
            Some((device, self.holders.iter().find(on)?))
        })
    }

    /// What others hold of a GPU, in words. Where the driver names nobody, which is usual in a container, it is all theirs
    /// unless something of ours runs.
    fn held(&self, device: &Device) -> Option<String> {
        let of = |mib: u64| match device.memory {
            Some(memory) => format!("{mib} of {} MiB of GPU {}", memory.total_bytes >> 20, device.index),
            None => format!("{mib} MiB of GPU {}", device.index),
        };
        let named: Vec<&Holder> = self.holders.iter().filter(|holder| holder.uuid == device.uuid).collect();
        let others: Vec<&Holder> =
            named.iter().copied().filter(|holder| !self.ours.contains(&holder.pid)).collect();
        if !others.is_empty() {
            let bytes: u64 = others.iter().filter_map(|holder| holder.bytes).sum();
            let names: Vec<String> = others.into_iter().map(name).collect();
            return Some(format!("{}: {}", of(bytes >> 20), names.join(", ")));
        }
        let told: Option<u64> = named.iter().map(|holder| holder.bytes).sum();
        let rest = device.memory?.used_bytes.saturating_sub(told?);
        let not_ours = self.ours.is_empty() || !named.is_empty();
        (not_ours && rest >= DRIVER)
            .then(|| format!("{}: processes that cannot be seen from here", of(rest >> 20)))
    }
}

/// A twentieth is what servers leave free themselves.
fn is_full(device: &Device) -> bool {
    device.memory.is_some_and(|memory| memory.free_bytes < memory.total_bytes / 20)
}

fn refused(mut failure: Failure) -> Objection {
    failure.class = Some(GPU_MEMORY.to_owned());
    Objection::Refused(failure)
}

/// A process by id and name. Its command line may hold secrets.
fn name(holder: &Holder) -> String {
    let command = Process::name(holder.pid).unwrap_or_else(|| "not to be seen from here".to_owned());
    let bytes = holder.bytes.map(|bytes| format!(", {} MiB", bytes >> 20)).unwrap_or_default();
    format!("process {} ({command}{bytes})", holder.pid)
}

/// What the instance's CUDA_VISIBLE_DEVICES will be, where it will have one.
fn visible<'a>(plan: &'a Plan, options: &'a Options) -> Option<&'a str> {
    plan.env_set.get(gpu::VISIBLE).or_else(|| options.environment.get(gpu::VISIBLE)).map(String::as_str)
}

fn ours(plans: &[Plan]) -> BTreeSet<u32> {
    let run_dirs: BTreeSet<&Path> =
        plans.iter().filter_map(|plan| plan.state_dir.parent().and_then(Path::parent)).collect();
    let places = run_dirs.into_iter().flat_map(|run_dir| state::instances(run_dir).places);
    let keepers = places.filter_map(|place| place.keeper().ok().flatten());
    keepers.flat_map(tree::family).map(|process| process.pid).collect()
}

/// Whether a keeper is among its ancestors, in whatever run directory that writes.
fn is_kept(pid: u32) -> bool {
    let mut next = Process::read(pid);
    while let Some(process) = next {
        if Process::name(process.pid).is_some_and(|name| name == "ikeep") {
            return true;
        }
        next = Process::read(process.parent);
    }
    false
}
