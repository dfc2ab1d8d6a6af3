//! From `env` records and a TOML file to `plan` records.
