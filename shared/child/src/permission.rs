//! What this thread's user may do with a path.
use rustix::fs::{Access, AtFlags, CWD, FileType, Stat, accessat, stat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgid, getgroups, getuid};
use std::path::Path;

/// Ask with the ids that count for files. The call that can (faccessat2) came with Linux 5.8, and some filters refuse it; the
/// older one asks with the real ids, so where those are others the permission bits have to tell.
///
/// # Errors
/// Why not: what the system says.
pub fn permitted(path: &Path, wanted: Access) -> Result<(), Errno> {
    match accessat(CWD, path, wanted, AtFlags::EACCESS) {
        Err(Errno::NOSYS | Errno::PERM) => permitted_without(path, wanted),
        answer => answer,
    }
}

fn permitted_without(path: &Path, wanted: Access) -> Result<(), Errno> {
    if geteuid() == getuid() && getegid() == getgid() {
        return accessat(CWD, path, wanted, AtFlags::empty());
    }
    let groups: Vec<u32> = getgroups()?.into_iter().map(rustix::process::Gid::as_raw).collect();
    if bits_permit(
        &stat(path)?,
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
        let mut found = stat(c"/").unwrap();
        (found.st_uid, found.st_gid, found.st_mode) = (7, 8, 0o100_640);
        let may = |uid, groups: &[u32], wanted| bits_permit(&found, wanted, uid, groups);
        assert!(may(7, &[], Access::READ_OK | Access::WRITE_OK) && !may(7, &[], Access::EXEC_OK));
        assert!(may(9, &[1, 8], Access::READ_OK) && !may(9, &[8], Access::WRITE_OK));
        assert!(!may(9, &[9], Access::READ_OK));
        assert!(may(0, &[], Access::WRITE_OK) && !may(0, &[], Access::EXEC_OK));
    }

    #[test]
    fn both_ways_say_the_same() {
        for (path, wanted) in [
            ("/", Access::READ_OK | Access::EXEC_OK),
            ("/etc/passwd", Access::WRITE_OK),
            ("/no/such", Access::EXISTS),
        ] {
            let path = Path::new(path);
            assert_eq!(permitted(path, wanted), permitted_without(path, wanted));
        }
    }
}
