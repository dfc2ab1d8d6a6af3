//! The repository's own rules, as far as a program can check them.
