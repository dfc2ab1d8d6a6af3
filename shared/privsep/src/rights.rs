//! With whose rights root goes on from a folder: those of whoever could have put what is in it.
use child::User;
use rustix::fs::{FileType, Stat};
use std::io;

/// Whose rights the next step takes. They only ever become less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Root's: nobody else could have put anything on the way.
    Ours,
    /// Those of the owner of a folder on the way.
    Owner(User),
    /// Those of the user that all of it is for. They are the end: what he is given is what he could have had.
    Recipient,
}

/// Who may decide what stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Controller {
    Root,
    User(u32),
    /// Several, or unknown.
    Anybody,
}

impl Rights {
    /// The rights for what `entry` leads to, which stands in `folder`.
    pub(crate) fn through(&self, folder: &Stat, entry: &Stat, recipient: &User) -> Self {
        match (self, controller(folder, entry)) {
            (Self::Recipient, _) | (_, Controller::Anybody) => Self::Recipient,
            (_, Controller::Root) => self.clone(),
            (_, Controller::User(uid)) if uid == recipient.owner().uid() => Self::Recipient,
            (Self::Owner(user), Controller::User(uid)) if user.owner().uid() == uid => self.clone(),
            // Of two that are not him neither is to reach what only the other may.
            (Self::Owner(_), Controller::User(_)) => Self::Recipient,
            (Self::Ours, Controller::User(uid)) => match User::named(&uid.to_string()) {
                Ok(Some(user)) => Self::Owner(user),
                _ => Self::Recipient,
            },
        }
    }

    /// Do something with these rights.
    pub(crate) fn act<T>(&self, recipient: &User, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self {
            Self::Ours => act(),
            Self::Owner(user) => user.owner().act(act)?,
            Self::Recipient => recipient.owner().act(act)?,
        }
    }
}

/// Whoever may write the folder may have put the entry there. In a folder with the sticky bit nobody replaces what is
/// another's; but a file or a link may be a second name of something that is elsewhere.
fn controller(folder: &Stat, entry: &Stat) -> Controller {
    const SHARED: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let user = |uid| if uid == 0 { Controller::Root } else { Controller::User(uid) };
    if folder.st_mode & SHARED == 0 {
        return user(folder.st_uid);
    }
    let only_name = FileType::from_raw_mode(entry.st_mode) == FileType::Directory || entry.st_nlink == 1;
    match folder.st_mode & STICKY != 0 && folder.st_uid == 0 && only_name {
        true => user(entry.st_uid),
        false => Controller::Anybody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(uid: u32, mode: u32, links: u64) -> Stat {
        let mut stat = rustix::fs::stat("/").unwrap();
        (stat.st_uid, stat.st_mode) = (uid, mode);
        stat.st_nlink = links;
        stat
    }

    fn user(uid: u32) -> User {
        User::named(&uid.to_string()).unwrap().unwrap()
    }

    #[test]
    fn who_could_have_put_an_entry_decides_whose_rights_are_used() {
        let file = stat(0, 0o100_644, 1);
        let folder = |uid, mode: u32| stat(uid, 0o040_000 | mode, 2);
        assert_eq!(controller(&folder(0, 0o755), &file), Controller::Root);
        assert_eq!(controller(&folder(7, 0o755), &file), Controller::User(7));
        assert_eq!(controller(&folder(0, 0o775), &file), Controller::Anybody);
        assert_eq!(controller(&folder(7, 0o1777), &file), Controller::Anybody);
        // As /tmp is.
        assert_eq!(controller(&folder(0, 0o1777), &file), Controller::Root);
        assert_eq!(controller(&folder(0, 0o1777), &folder(7, 0o755)), Controller::User(7));
        assert_eq!(controller(&folder(0, 0o1777), &stat(0, 0o100_600, 2)), Controller::Anybody);
    }

    #[test]
    fn rights_only_become_less() {
        let (recipient, other) = (user(7), user(8));
        let folder = |uid, mode: u32| stat(uid, 0o040_000 | mode, 2);
        let through =
            |rights: &Rights, folder: &Stat| rights.through(folder, &stat(0, 0o100_644, 1), &recipient);
        assert_eq!(through(&Rights::Ours, &folder(0, 0o755)), Rights::Ours);
        assert_eq!(through(&Rights::Ours, &folder(7, 0o755)), Rights::Recipient);
        assert_eq!(through(&Rights::Recipient, &folder(0, 0o755)), Rights::Recipient);
        let owner = Rights::Owner(other);
        assert_eq!(through(&owner, &folder(0, 0o755)), owner);
        assert_eq!(through(&owner, &folder(8, 0o755)), owner);
        assert_eq!(through(&owner, &folder(9, 0o755)), Rights::Recipient);
        // A user that is in no list has no rights that we know.
        assert_eq!(through(&Rights::Ours, &folder(4_000_000, 0o755)), Rights::Recipient);
    }
}
