//! The bundle road: unpack and hash in one read, prove, then let pixi-unpack make the environment where it will live.
mod maker;
mod proof;
mod unpacker;

use crate::home::{Attempt, Home, HomeLock, Install, now, refused};
use crate::source::OpenSource;
use crate::unpack::{self, HEAD, Kind, Root, Trouble};
use maker::Maker;
use proof::{Papers, Proof};
use record::{Env, Warning};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tool::{Code, Failure};

/// Folders and files of an attempt that are gone when it is an install.
const MEMBERS: &str = ".bundle";
const EMBEDDED: &str = ".pixi-unpack";
const TMP: &str = ".tmp";
