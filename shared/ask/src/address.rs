//! Where a server is, as its plan says.
use crate::Target;
use crate::authority::{authority, path};
use crate::target::{LITELLM, LITELLM_HEALTH};
use crate::tls::Tls;
use owner::Owner;
use record::{Engine, Plan};
use std::path::Path;

impl Target {
    /// The server of this plan: its scheme, its prefix, and its certificate, which is read with the rights of the user whose
    /// instance it is. One that cannot be read fails every request with the reason.
    #[must_use]
    pub fn of_plan(plan: &Plan, user: &Owner) -> Self {
        let (host, port) = (authority(&plan.host), plan.port);
        let prefix = plan.path_prefix.as_deref().map(path).unwrap_or_default();
        if plan.scheme.as_deref() != Some("https") {
            let target = Self::new(format!("http://{host}:{port}{prefix}"), Tls::none());
            let is_litellm = plan.engine == Engine::Bridge && plan.instance == LITELLM;
            return if is_litellm { target.with_health(LITELLM_HEALTH) } else { target };
        }
        let tls = plan.ca_file.as_deref().map_or_else(Tls::none, |file| Tls::pinned(certificate(file, user)));
        Self::new(format!("https://{host}:{port}{prefix}"), tls)
    }
}

/// No certificate with its chain is larger.
const CERTIFICATE_BYTES: usize = 1 << 20;

/// What stands in a certificate's file. The user can write the plan, and so can choose the path.
fn certificate(file: &Path, user: &Owner) -> Result<Vec<u8>, String> {
    owner::read_as(user, file, CERTIFICATE_BYTES).map_err(|error| {
        let text = error.to_string();
        format!(
            "cannot read its certificate {}: {}",
            file.display(),
            text.split(" (os error ").next().unwrap_or(&text)
        )
    })
}
