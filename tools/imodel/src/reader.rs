//! With whose rights a model is read: those of whoever is to load it. Nothing that another has put there leads us where he
//! could not go.
use child::User;
use owner::{Dir, Owner};
use record::Plan;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tool::{Code, Failure, vars};

/// Who reads; `None`: we ourselves.
pub(crate) struct Reader(Option<Owner>);

impl Reader {
    /// The user of a plan.
    ///
    /// # Errors
    /// There is no such user, or we may not become another: 69.
    pub(crate) fn of_plan(plan: &Plan) -> Result<Self, Failure> {
        let user = User::other(plan.user.as_deref(), &vars::user(plan.engine))?;
        Ok(Self(user.map(|user| user.owner().clone())))
    }

    /// Whoever could have put something else at a path of the command line, where root looks.
    ///
    /// # Errors
    /// The way to it cannot be gone: 69.
    pub(crate) fn of_path(path: &Path) -> Result<Self, Failure> {
        if !Owner::current().is_trusted() || Owner::current().uid() != 0 {
            return Ok(Self(None));
        }
        let cannot = |error| Failure::io(Code::Unmet, format!("cannot read {}", path.display()), &error);
        let parent = path.parent().unwrap_or(Path::new("/"));
        let holder = Dir::open(parent).map_err(cannot)?;
        let mut owners = vec![holder.owner()];
        match Dir::open(path) {
            Ok(folder) => owners.push(folder.owner()),
            // A file, or nothing: whoever made the entry made it lead where it leads.
            Err(_) => owners.extend(owner_of_path(path)),
        }
        Ok(Self(owners.into_iter().find(|owner| !owner.is_trusted())))
    }

    /// Do something with these rights.
    ///
    /// # Errors
    /// We may not have them: 69.
    pub(crate) fn act<T>(&self, act: impl FnOnce() -> T) -> Result<T, Failure> {
        let Some(owner) = &self.0 else { return Ok(act()) };
        owner.act(act).map_err(|error| {
            Failure::io(Code::Unmet, "cannot read the model", &error)
                .hint("run imodel as the user who serves, or as a root that may become that user")
        })
    }
}

/// Who made an entry that is no folder.
fn owner_of_path(path: &Path) -> Option<Owner> {
    let uid = owner::symlink_metadata(path).ok()?.uid();
    let user = User::named(&uid.to_string()).ok().flatten()?;
    Some(user.owner().clone())
}
