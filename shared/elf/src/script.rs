//! A script's first line, which names its interpreter.
use std::io::Read;
use std::path::Path;

/// The kernel reads no more of a first line.
const LINE_BYTES: u64 = 256;

/// The words after `#!` in a file that begins so; `None` where it is no script.
#[must_use]
pub fn first_line(head: &[u8]) -> Option<Vec<String>> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Some(String::from_utf8_lossy(line).split_whitespace().map(str::to_owned).collect())
}

/// The interpreter that a script names; `None` where the file is no script, or names none.
#[must_use]
pub fn interpreter(program: &Path) -> Option<String> {
    let mut head = Vec::new();
    owner::open_file(program).ok()?.take(LINE_BYTES).read_to_end(&mut head).ok()?;
    first_line(&head)?.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::first_line;

    #[test]
    fn the_first_line_is_taken_apart_and_nothing_after_it() {
        assert_eq!(first_line(b"#! /usr/bin/env  -S sh\nexit").unwrap(), ["/usr/bin/env", "-S", "sh"]);
        assert!(first_line(b"#!\n/bin/sh").unwrap().is_empty());
        assert_eq!(first_line(b"\x7fELF#!/bin/sh"), None);
    }
}
