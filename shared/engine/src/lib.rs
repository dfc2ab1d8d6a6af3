//! What differs between the engines, one file per engine.
