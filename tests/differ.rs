//! What ours say, against what the libraries in pixi do with the same: rattler_lock, rattler_cache and uv themselves.
mod damage;
mod described;
mod kinds;
mod locks;
mod matrix;
mod verdicts;
