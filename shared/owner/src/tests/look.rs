//! Looks.
use super::TestFolder;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn a_look_through_a_users_link_tells_no_more_than_the_user_sees() {
    let Some(ground) = TestFolder::new("look") else { return };
    for folder in ["hidden", "open"] {
        fs::create_dir(ground.path(folder)).unwrap();
        fs::write(ground.path(folder).join("file"), "x").unwrap();
    }
    fs::set_permissions(ground.path("hidden"), Permissions::from_mode(0o700)).unwrap();
    for (to, link) in
        [("hidden/file", "u/hidden"), ("open/file", "u/open"), ("open", "u/folder"), ("loop", "loop")]
    {
        symlink(ground.path(to), ground.path(link)).unwrap();
    }
    // Root itself sees both.
    assert!(crate::is_file(ground.path("hidden/file")) && crate::is_file(ground.path("u/open")));
    assert!(
        crate::is_dir(ground.path("u/folder")) && crate::is_dir("/") && crate::is_dir(ground.path("u/.."))
    );
    let refused = crate::metadata(ground.path("u/hidden")).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(!crate::exists(ground.path("u/hidden")) && !crate::exists(ground.path("nothing")));
    assert!(crate::metadata(ground.path("loop")).is_err());
    // Where it leads to, and what it says.
    assert_eq!(
        crate::canonicalize(ground.path("u/folder/file")).unwrap(),
        ground.path("open/file").canonicalize().unwrap()
    );
    assert!(crate::canonicalize(ground.path("u/hidden")).is_err());
    assert_eq!(crate::read_link(ground.path("u/folder")).unwrap(), ground.path("open"));
    assert!(crate::symlink_metadata(ground.path("u/hidden")).unwrap().is_symlink());
    for (path, kind) in [("open/file", io::ErrorKind::InvalidInput), ("nothing", io::ErrorKind::NotFound)] {
        assert_eq!(crate::read_link(ground.path(path)).unwrap_err().kind(), kind, "{path}");
    }
}
