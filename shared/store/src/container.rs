//! What a cache lies on.
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};
use std::path::Path;

/// Whether `path`, or where it would be made, is on the writable layer of the container that this is: then what is put
/// there goes away with the container.
#[must_use]
pub fn on_container_layer(path: &Path) -> bool {
    let root = Path::new("/");
    let there = path.ancestors().find(|path| owner::exists(path));
    in_container(root) && there.is_some_and(|there| same_mount(there, root))
}

/// Whether this is a container: what runs it leaves a mark, or `/` is made of layers.
fn in_container(root: &Path) -> bool {
    const OVERLAYFS: i64 = 0x794c_7630;
    let marked = [".dockerenv", "run/.containerenv"].iter().any(|mark| owner::exists(root.join(mark)));
    marked || rustix::fs::statfs(root).is_ok_and(|system| system.f_type == OVERLAYFS)
}

/// Whether both are on one device, and in one mount of it: a volume may come from the disk that holds the layer.
fn same_mount(one: &Path, other: &Path) -> bool {
    let stat = |path: &Path| statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok();
    let (Some(one), Some(other)) = (stat(one), stat(other)) else { return false };
    let device = |stat: &Statx| (stat.stx_dev_major, stat.stx_dev_minor);
    // Linux before 5.8 does not report the mount.
    let mount = |stat: &Statx| (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id);
    device(&one) == device(&other) && mount(&one) == mount(&other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_its_mark_and_a_volume_by_its_mount() {
        let root = std::env::temp_dir().join(format!("store-place-{}", std::process::id()));
        std::fs::create_dir_all(root.join("run")).unwrap();
        assert!(!in_container(&root) || in_container(&std::env::temp_dir()));
        std::fs::write(root.join("run/.containerenv"), "").unwrap();
        assert!(in_container(&root));
        assert!(same_mount(&root, &root.join("run")) && !same_mount(&root, Path::new("/proc")));
        assert!(!same_mount(&root, &root.join("missing")));
        assert_eq!(on_container_layer(&root), on_container_layer(&root.join("a/b")));
        std::fs::remove_dir_all(root).unwrap();
    }
}
