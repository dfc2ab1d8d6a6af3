//! What this thread's user may do with a path.
use rustix::fs::{Access, AtFlags, CWD, FileType, Stat, StatVfsMountFlags, accessat, statat, statvfs};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgid, getgroups, getuid};
use std::path::Path;

/// Ask with the ids that count for files. The call that can (faccessat2) came with Linux 5.8, and some filters refuse it; the
/// older one asks with the real ids, so where those differ, the permission bits decide.
///
/// # Errors
/// Why not: what the system says.
pub fn permitted(path: &Path, wanted: Access) -> Result<(), Errno> {
    match accessat(CWD, path, wanted, AtFlags::EACCESS) {
        Err(Errno::NOSYS | Errno::PERM) => permitted_by_mode(path, wanted),
        answer => answer,
    }
}

/// The folder, at or above a path, whose file system lets no program be run or loaded; `None` where it does.
#[must_use]
pub fn noexec(path: &Path) -> Option<&Path> {
    let there = path.ancestors().find(|path| owner::exists(path))?;
    let refuses = statvfs(there).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC));
    refuses.then_some(there)
}

fn permitted_by_mode(path: &Path, wanted: Access) -> Result<(), Errno> {
    if geteuid() == getuid() && getegid() == getgid() {
        return accessat(CWD, path, wanted, AtFlags::empty());
    }
    let groups: Vec<u32> = getgroups()?.into_iter().map(rustix::process::Gid::as_raw).collect();
    if bits_permit(
        &statat(CWD, path, AtFlags::empty())?,
        wanted,
        geteuid().as_raw(),
        &[&[getegid().as_raw()], groups.as_slice()].concat(),
    ) {
        Ok(())
    } else {
        Err(Errno::ACCESS)
    }
}

/// As the kernel reads them, ACLs and capabilities of others than root left aside.
fn bits_permit(found: &Stat, wanted: Access, uid: u32, groups: &[u32]) -> bool {
    let mode = found.st_mode;
    if uid == 0 {
        let folder = FileType::from_raw_mode(mode) == FileType::Directory;
        return !wanted.contains(Access::EXEC_OK) || folder || mode & 0o111 != 0;
    }
    let bits = match () {
        () if found.st_uid == uid => mode >> 6,
        () if groups.contains(&found.st_gid) => mode >> 3,
        () => mode,
    };
    let needs = [(Access::READ_OK, 4), (Access::WRITE_OK, 2), (Access::EXEC_OK, 1)];
    needs.iter().all(|(access, bit)| !wanted.contains(*access) || bits & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_owner_group_and_others_count_in_this_order() {
        let mut found = statat(CWD, "/", AtFlags::empty()).unwrap();
        (found.st_uid, found.st_gid, found.st_mode) = (7, 8, 0o100_640);
        let may = |uid, groups: &[u32], wanted| bits_permit(&found, wanted, uid, groups);
        assert!(may(7, &[], Access::READ_OK | Access::WRITE_OK) && !may(7, &[], Access::EXEC_OK));
        assert!(may(9, &[1, 8], Access::READ_OK) && !may(9, &[8], Access::WRITE_OK));
        assert!(!may(9, &[9], Access::READ_OK));
        assert!(may(0, &[], Access::WRITE_OK) && !may(0, &[], Access::EXEC_OK));
    }

    #[test]
    fn a_file_system_without_programs_is_known_by_its_mount() {
        // The kernel mounts its own so, wherever it is mounted with care.
        let options = owner::read_file(Path::new("/proc/self/mounts"), 1 << 20).unwrap();
        let options = String::from_utf8(options).unwrap();
        let proc = options.lines().find(|line| line.split(' ').nth(1) == Some("/proc")).unwrap();
        let told = proc.split([' ', ',']).any(|option| option == "noexec");
        assert_eq!(noexec(Path::new("/proc/no/such")), told.then_some(Path::new("/proc")));
        assert_eq!(noexec(&std::env::current_exe().unwrap()), None);
    }

    #[test]
    fn both_ways_say_the_same() {
        for (path, wanted) in [
            ("/", Access::READ_OK | Access::EXEC_OK),
            ("/etc/passwd", Access::WRITE_OK),
            ("/no/such", Access::EXISTS),
        ] {
            let path = Path::new(path);
            assert_eq!(permitted(path, wanted), permitted_by_mode(path, wanted));
        }
    }
}
