//! pixi-unpack: the one that was named or is on PATH, and whether one that a bundle carries can run here.
use record::Env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use tool::{Code, Failure, io_text, vars};

const NAME: &str = "pixi-unpack";

/// The one that was named, which must be there, else PATH's; `None` where there is none.
pub(super) fn here(env: &Env) -> Result<Option<PathBuf>, Failure> {
    let Some(named) = &env.pixi_unpack else {
        return Ok(which::which(NAME).ok().map(|path| Path::new("/").join(path)));
    };
    match std::fs::metadata(named) {
        Ok(stat) if stat.is_file() => Ok(Some(named.clone())),
        Ok(_) => Err(missing(env, format!("{} is not a file", named.display()))),
        Err(error) => Err(missing(env, format!("{}: {}", named.display(), io_text(&error)))),
    }
}

/// What to bring where there is none.
pub(super) fn missing(env: &Env, cause: impl Into<String>) -> Failure {
    let machine = std::env::consts::ARCH;
    Failure::new(Code::Unmet, format!("cannot find {NAME}"), cause).hint(format!(
        "bring pixi-unpack-{machine}-unknown-linux-musl of pixi-pack's release and put it on PATH as {NAME}, or name it \
         in {}; a bundle made with --create-executable carries its own",
        vars::of(env.engine, "PIXI_UNPACK_BIN")
    ))
}

/// Refuse one of this machine that cannot run, before anything is unpacked for it.
pub(super) fn must_run(program: &Path, env: &Env) -> Result<(), Failure> {
    // This sees a disk without programs too.
    rustix::fs::access(program, rustix::fs::Access::EXEC_OK)
        .map_err(|error| child::not_run(Code::Unmet, program, &error.into()))?;
    // Whatever else it may be, the system will say; of a foreign program it makes a script.
    match elf::read(program) {
        Ok(Some(elf)) if !elf.is_for_this_machine() => {
            let cause = format!("it is for another machine than this {}", std::env::consts::ARCH);
            Err(Failure { what: format!("cannot run {}", program.display()), ..missing(env, cause) })
        }
        _ => Ok(()),
    }
}

/// What to do about one that ended as a shell does that cannot run something.
pub(super) fn broken(env: &Env, code: Option<i32>) -> Option<String> {
    let variable = vars::of(env.engine, "PIXI_UNPACK_BIN");
    matches!(code, Some(126 | 127))
        .then(|| format!("the {NAME} that was run lacks something here; name one that runs in {variable}"))
}

/// Whether this machine can run the one that a bundle carries, as far as its first bytes say.
pub(super) fn fits(program: &Path, what: &str) -> Result<(), Failure> {
    let refuse = |cause: String| Failure::new(Code::Input, what, cause).hint("bring the bundle again");
    let unreadable = |error: std::io::Error| {
        Failure::io(Code::Unmet, format!("cannot read {}", program.display()), &error)
    };
    let mut head = [0; 2];
    let read = File::open(program).and_then(|mut file| file.read(&mut head)).map_err(unreadable)?;
    if &head[..read] == b"#!" {
        return Ok(());
    }
    match elf::read(program).map_err(|error| refuse(format!("the {NAME} in it is damaged: {error}")))? {
        None => Err(refuse(format!("the {NAME} in it is not a program"))),
        Some(elf) if !elf.is_for_this_machine() => {
            let machine = std::env::consts::ARCH;
            let cause = format!("the {NAME} in it is for another machine than this {machine}");
            let hint = format!("pack it with --platform {}", lock::host_platform());
            Err(Failure::new(Code::Unmet, what, cause).hint(hint))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_this_machine_and_scripts_fit() {
        assert!(fits(&std::env::current_exe().unwrap(), "x").is_ok());
        let failure = fits(Path::new("/etc/passwd"), "x").unwrap_err();
        assert_eq!((failure.code, failure.cause.contains("not a program")), (Code::Input, true));
    }
}
