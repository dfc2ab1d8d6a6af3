//! What only the start needed is not held: a keeper waits for days.
use rustix::mm::{Advice, madvise};
use std::io::{BufRead, BufReader};
use std::ops::Range;

/// Gives up the pages of programs and libraries, and the free ends of the heap. What is wanted again is mapped again by the
/// kernel, from the page cache.
pub(crate) fn release() {
    // SAFETY: it takes no argument that could be wrong, and hands back only what is free.
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "malloc_trim(3) has no safe wrapper")]
    unsafe {
        libc::malloc_trim(0);
    }
    let Ok(maps) = std::fs::File::open("/proc/self/smaps") else { return };
    for Range { start, end } in unchanged(BufReader::new(maps)) {
        // SAFETY: the range is a mapping of a file, none of whose pages differ from the file and which nobody can write: the
        // kernel gives the same bytes again.
        #[expect(unsafe_code, reason = "madvise(2) of memory in use is unsafe in general")]
        unsafe {
            madvise(start as *mut _, end - start, Advice::LinuxDontNeed).ok();
        }
    }
}

/// The mappings of files that nobody can write and that have no page of their own, from the text of `/proc/PID/smaps`
/// (proc_pid_smaps(5)).
fn unchanged(smaps: impl BufRead) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut mapping = None;
    for line in smaps.lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["Anonymous:", "0", "kB"] => found.extend(mapping.take()),
            [range, permissions, _, _, inode, ..] if !range.ends_with(':') => {
                let of_a_file = inode != "0" && !permissions.contains('w');
                mapping = of_a_file.then(|| parse_range(range)).flatten();
            }
            _ => {}
        }
    }
    found
}

fn parse_range(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_file_has_is_given_up() {
        let smaps = "1000-3000 r-xp 00001000 fe:00 42    /usr/bin/ikeep\nRss: 8 kB\nAnonymous: 0 kB\nVmFlags: rd ex mr\n\
            3000-4000 r--p 00003000 fe:00 42    /usr/bin/ikeep\nRss: 4 kB\nAnonymous: 4 kB\n\
            4000-5000 rw-p 00004000 fe:00 42    /usr/bin/ikeep\nRss: 0 kB\nAnonymous: 0 kB\n\
            5000-6000 r-xp 00000000 00:00 0     [vdso]\nRss: 4 kB\nAnonymous: 0 kB\n\
            6000-7000 r--p 00000000 fe:00 43    /a name with: words\nAnonymous: 0 kB\n";
        assert_eq!(unchanged(smaps.as_bytes()), [0x1000..0x3000, 0x6000..0x7000]);
        assert_eq!(unchanged(&b"\xff\n1000-z r-xp 0 0 42\nAnonymous: 0 kB\n"[..]), []);
    }

    #[test]
    fn what_is_given_up_comes_again() {
        release();
        assert_eq!(parse_range("10-20"), Some(16..32));
    }
}
