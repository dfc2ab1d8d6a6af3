//! What is said of an instance that is gone.
use crate::StopOutcome;
use failure::Failure;
use gpu::Unreleased;
use record::{Engine, StopMethod, Stopped, Warning};
use state::Directory;
use state::audit::{self, Entry, Event};
use tool::Io;

/// Say that the instance of this state directory is gone, and what is left of it: `stopped`, then its warnings.
///
/// # Errors
/// As [`Io::write`].
pub fn report(
    (engine, instance): (Engine, &str),
    place: &Directory,
    gone: &StopOutcome,
    io: &mut Io,
) -> Result<(), Failure> {
    let StopOutcome { how, seconds, orphans, port_held, gpu_left, forgotten } = *gone;
    let event = match how {
        StopMethod::Gone if orphans == 0 => forgotten.then_some(Event::Forget),
        _ => Some(Event::Stop),
    };
    if let Some(event) = event {
        let entry = Entry::new(io.name(), event, engine).named().of(instance).stopped(how, forgotten);
        audit::note_instance(place, &entry).map_or(Ok(()), |warning| io.warn(warning))?;
    }
    io.write(Stopped { engine, instance: instance.to_owned(), how, seconds, orphans, forgotten })?;
    let warning = |rule: &str, but: String, hint: String| Warning {
        engine: Some(engine),
        instance: Some(instance.to_owned()),
        rule: rule.to_owned(),
        what: format!("{engine}/{instance} is gone, but {but}"),
        hint,
    };
    if let Some(port) = port_held {
        let hint = format!("ss -ltnp 'sport = :{port}' names it");
        io.warn(warning("port_held", format!("another process listens on port {port}"), hint))?;
    }
    if let Some(Unreleased { bytes, named }) = gpu_left {
        let mib = bytes >> 20;
        let but = if named {
            format!("the driver still counts {mib} MiB of GPU memory as its own")
        } else {
            format!("the {mib} MiB in use on its GPUs are still becoming less")
        };
        let hint = "what starts there may not find enough; watch nvidia-smi, and see the kernel's log";
        io.warn(warning("gpu_held", but, hint.to_owned()))?;
    }
    Ok(())
}

/// Say that the instance of this state directory was not stopped.
///
/// # Errors
/// As [`Io::fail`].
pub fn report_failure(
    (engine, instance): (Engine, &str),
    place: &Directory,
    failure: Failure,
    io: &mut Io,
) -> Result<(), Failure> {
    let (code, reason) = (failure.code, format!("{}: {}", failure.what, failure.cause));
    let entry = Entry::new(io.name(), Event::Stop, engine).named().of(instance);
    let entry = entry.because(failure.class.as_deref(), &reason).not_done(code);
    audit::note_instance(place, &entry).map_or(Ok(()), |warning| io.warn(warning))?;
    io.fail((engine, instance), failure)
}
