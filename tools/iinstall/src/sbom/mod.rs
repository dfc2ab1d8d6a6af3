//! What an installed engine is made of, as CycloneDX: of its lock file, or of the members of its bundle.
//!
//! Only what lies in the install is read, with the rights of the user whose it is; the same install gives the same bytes.
mod component;
mod purl;

use base16ct::lower::encode_string as hex;
use component::Component;
use install::InstallLink;
use lock::{LockFile, Package};
use record::{Engine, Env, Installed, Road};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;
use tool::{Code, Failure};

const LOCK: &str = "pixi.lock";

/// The bill of materials of what is installed for `env`.
///
/// # Errors
/// Code 69 where nothing is installed, or its lock file is not what it was; 65 where that cannot be understood.
pub(crate) fn of(env: &Env) -> Result<Value, Failure> {
    let none =
        |cause: &str| Failure::new(Code::Unmet, format!("no bill of materials of {}", env.engine), cause);
    let home =
        env.home().ok_or_else(|| none("the 'env' record says of no folder that it is installed there"))?;
    let unreadable = |error: &io::Error| {
        Failure::io(Code::Unmet, format!("cannot read {}", home.join(install::LINK).display()), error)
    };
    let marker = InstallLink::marker(home).map_err(|error| unreadable(&error))?;
    let installed = marker.as_ref().and_then(|marker| Installed::deserialize(marker).ok());
    let (Some(marker), Some(installed)) = (marker, installed.filter(|found| found.engine == env.engine))
    else {
        let cause = format!("nothing of ours is installed in {}", home.display());
        return Err(none(&cause).hint("install it first: the same pipeline without --sbom"));
    };
    let road = marker.get("road").and_then(|road| Road::deserialize(road).ok()).unwrap_or(Road::Archive);
    let components = match road {
        Road::Archive => Vec::new(),
        Road::Bundle => {
            let members = marker.get("bundle_members").cloned().unwrap_or_default();
            let members = Vec::<bundle::Member>::deserialize(members).map_err(|_| {
                none("its marker has no list of what was in the bundle")
                    .hint("install it again with iinstall --rehash")
            })?;
            members.iter().filter_map(Component::of_member).collect()
        }
        Road::Cache => of_lock(env, home, &marker, &installed)?,
    };
    Ok(document(&installed, road, components))
}

/// What the lock file has for the environment that is installed. It is a copy, which a person may have edited.
fn of_lock(env: &Env, home: &Path, marker: &Value, installed: &Installed) -> Result<Vec<Component>, Failure> {
    let path = home.join("current").join(LOCK);
    let what = || format!("cannot read {}", path.display());
    let bytes = owner::read_file(&path, lock::CEILING_BYTES)
        .map_err(|error| Failure::io(Code::Unmet, what(), &error))?;
    if marker["template_files"][LOCK].as_str() != Some(&hex(&Sha256::digest(&bytes))) {
        let cause = "it is not the lock file that was installed from: somebody edited it";
        return Err(Failure::new(Code::Unmet, what(), cause).hint("install it again"));
    }
    let lock = LockFile::parse(&bytes)
        .map_err(|error| Failure::new(Code::Input, what(), error.to_string()).hint(error.hint()))?;
    let name = environment_of(installed).or(env.pixi_env.as_deref()).unwrap_or("default");
    let environment = lock.environment(name).map_err(|cause| Failure::new(Code::Unmet, what(), cause))?;
    let here = environment.platforms.values().filter(|platform| platform.subdir == lock::host_platform());
    let packages: Vec<&Package> = here.flat_map(|platform| &platform.packages).collect();
    Ok(packages.into_iter().map(Component::of_package).collect())
}

/// The environment's name: its folder is `.pixi/envs/NAME`.
fn environment_of(installed: &Installed) -> Option<&str> {
    let below = installed.python.as_ref()?.strip_prefix(&installed.path).ok()?;
    below.strip_prefix(".pixi/envs").ok()?.iter().next()?.to_str()
}

/// The document: the engine, and what it is made of, in the order of their names.
fn document(installed: &Installed, road: Road, mut components: Vec<Component>) -> Value {
    components.sort();
    // Platforms of one subdir have most packages in common.
    components.dedup();
    let engine = installed.engine;
    let version = components.iter().find(|one| one.is_called(engine.id())).map(|one| one.version.clone());
    let mut subject = json!({
        "type": "application",
        "bom-ref": format!("infer-dev:{engine}"),
        "name": match engine { Engine::LlamaCpp => "llama.cpp", _ => engine.id() },
    });
    if let Some(version) = version.flatten() {
        subject["version"] = version.into();
    }
    // Of an archive or a bundle the id is its hash; on the cache road it is that of a list.
    if road != Road::Cache {
        subject["hashes"] = json!([{ "alg": "SHA-256", "content": installed.id }]);
    }
    let property = |name: &str, value: &str| json!({ "name": format!("infer-dev:{name}"), "value": value });
    subject["properties"] = json!([property("road", road.id()), property("install", &installed.id)]);
    let tool = json!({ "type": "application", "name": "iinstall", "version": env!("CARGO_PKG_VERSION") });
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "tools": { "components": [tool] }, "component": subject },
        "components": components.iter().map(Component::json).collect::<Vec<_>>(),
    });
    document["serialNumber"] = serial_number(&document.to_string()).into();
    document
}

/// A UUID of version 8 that follows from the content.
fn serial_number(content: &str) -> String {
    let mut bytes: [u8; 32] = Sha256::digest(content).into();
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    format!("urn:uuid:{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..32])
}
