//! What a failed program said, put together again.
//!
//! pixi draws its error as a tree and breaks its lines at 80 columns wherever it runs (miette, with or without Unicode,
//! which is a matter of the locale); pixi-pack and pixi-unpack list their causes below `Caused by:` (anyhow).

/// How a cause of the error begins in the tree.
const CAUSES: [&str; 4] = ["├─▶", "╰─▶", "|->", "`->"];
/// The mark of the error itself.
const MARKS: [&str; 2] = ["× ", "x "];
/// What may stand before the further lines of a message.
const BARS: [&str; 2] = ["│", "|"];

/// The last error in these lines, outermost message first, each on one line; empty where nothing looks like one.
pub(crate) fn chain(tail: &[String]) -> Vec<String> {
    let mut heads = tail.iter().enumerate().filter_map(|(at, line)| Some((Head::of(line)?, &tail[at + 1..])));
    let mut last = heads.next();
    for next in heads {
        // Panics come in pairs: who waits for a thread that panicked panics over that.
        if !matches!((&last, &next), (Some((Head::Panic(_), _)), (Head::Panic(_), _))) {
            last = Some(next);
        }
    }
    match last {
        Some((Head::Drawn(first), rest)) => drawn(first, rest),
        Some((Head::Plain(first), rest)) => listed(first, rest),
        Some((Head::Panic(place), rest)) => panicked(place, rest),
        None => Vec::new(),
    }
}

/// All lines as one text, without the lines that pixi draws.
pub(crate) fn plain(tail: &[String]) -> String {
    let mut text = String::new();
    for line in tail {
        let words: Vec<&str> = line.split_whitespace().filter(|word| !is_drawn(word)).collect();
        append(&mut text, &words.join(" "));
    }
    text
}

/// How an error begins.
enum Head<'a> {
    Drawn(&'a str),
    Plain(&'a str),
    Panic(&'a str),
}

impl<'a> Head<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let labelled = line.strip_prefix("Error:").or_else(|| line.strip_prefix("error:"));
        // Older ones have no label, and what is indented further belongs to another error.
        let marked = labelled.unwrap_or_else(|| line.strip_prefix("  ").unwrap_or_default());
        let first = marked.trim_start();
        if let Some(first) = MARKS.iter().find_map(|mark| first.strip_prefix(mark)) {
            return (labelled.is_some() || !marked.starts_with(' ')).then_some(Self::Drawn(first));
        }
        if let Some((_, place)) = line.split_once("' panicked at ").or(line.split_once(") panicked at ")) {
            return line.starts_with("thread '").then_some(Self::Panic(place));
        }
        labelled.map(|_| Self::Plain(first)).filter(|_| !first.is_empty())
    }
}

/// miette's tree: further lines are indented, and end where help or the source begins.
fn drawn(first: &str, rest: &[String]) -> Vec<String> {
    let mut links = vec![first.to_owned()];
    for line in rest {
        let said = line.trim_start();
        let ends = said.len() == line.len() || ["help:", "╭", ",-"].iter().any(|end| said.starts_with(end));
        if ends {
            break;
        }
        if let Some(cause) = CAUSES.iter().find_map(|mark| said.strip_prefix(mark)) {
            let cause = cause.trim_start();
            // An error may have a whole tree for its cause.
            let cause = MARKS.iter().find_map(|mark| cause.strip_prefix(mark)).unwrap_or(cause);
            links.push(cause.to_owned());
            continue;
        }
        let said = BARS.iter().find_map(|bar| said.strip_prefix(bar)).unwrap_or(said);
        if let Some(link) = links.last_mut() {
            append(link, said.trim());
        }
    }
    links
}

/// anyhow's list: one cause on its lines, or several with numbers. A wrong command line ends in its usage.
fn listed(first: &str, rest: &[String]) -> Vec<String> {
    let mut links = vec![first.to_owned()];
    let (mut causes, mut numbered) = (false, false);
    for line in rest.iter().map(|line| line.trim()) {
        if ["Stack backtrace", "Location:", "Usage:", "tip: "].iter().any(|end| line.starts_with(end)) {
            break;
        }
        if line == "Caused by:" {
            causes = true;
            continue;
        }
        let number = line.split_once(": ").filter(|(number, _)| causes && number.parse::<u32>().is_ok());
        match (number, links.last_mut()) {
            (Some((_, cause)), _) => {
                numbered = true;
                links.push(cause.to_owned());
            }
            (None, Some(link)) if numbered || !causes => append(link, line),
            _ => links.push(line.to_owned()),
        }
    }
    links
}

fn panicked(place: &str, rest: &[String]) -> Vec<String> {
    let ends = |line: &&String| {
        line.starts_with("note: ")
            || line.starts_with("stack backtrace")
            || matches!(Head::of(line), Some(Head::Panic(_)))
    };
    let said = rest.iter().take_while(|line| !ends(line));
    let mut message = String::new();
    for line in said {
        append(&mut message, line.trim());
    }
    let mut links = vec![format!("it panicked at {}", place.trim_end_matches(':'))];
    links.extend(Some(message).filter(|message| !message.is_empty()));
    links
}

/// Go on with the next line of a message. Lines are broken after hyphens and in URLs too, where no space was.
fn append(text: &mut String, line: &str) {
    let mut last = text.chars().rev();
    let inside = match (last.next(), last.next()) {
        (Some('-'), Some(before)) => before.is_alphanumeric(),
        (Some('/'), Some(before)) => !before.is_whitespace(),
        (None, _) => true,
        _ => line.is_empty(),
    };
    if !inside {
        text.push(' ');
    }
    text.push_str(line);
}

fn is_drawn(word: &str) -> bool {
    CAUSES.contains(&word) || BARS.contains(&word) || !word.contains(|letter: char| letter.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(said: &str) -> Vec<String> {
        let lines: Vec<String> = said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        chain(&lines)
    }

    #[test]
    fn broken_lines_are_joined_in_both_of_pixis_drawings() {
        let expected = [
            "failed to fetch libstdcxx-ng-15.1.0-h4852527_3.conda",
            "HTTP status client error (403 Forbidden) for url (http://mirror.invalid/anaconda/cloud/conda-forge/linux-64/libstdcxx-ng-15.1.0-h4852527_3.conda)",
        ];
        let unicode = "\
 WARN rattler_cache::package_cache: failed to download and extract http://mirror.invalid/a to /x: error. Retry #1
Error:   × failed to fetch libstdcxx-ng-15.1.0-h4852527_3.conda
  ╰─▶ HTTP status client error (403 Forbidden) for url (http://mirror.invalid/
      anaconda/cloud/conda-forge/linux-
      64/libstdcxx-ng-15.1.0-h4852527_3.conda)
";
        assert_eq!(links(unicode), expected);
        let ascii = unicode.replace('×', "x").replace("╰─▶", "`->");
        assert_eq!(links(&ascii), expected);
    }

    #[test]
    fn every_cause_is_a_link_and_help_and_source_are_none() {
        let said = "\
Error:   × failed to solve the pypi requirements of environment
  │ 'default' for platform 'linux-64'
  ├─▶   × Request failed after 3 retries
  │
  ├─▶ error sending request for url (https://
  │   index.invalid/simple/six/)
  ╰─▶ client error (Connect)
  help: Retry with network access
";
        let expected = [
            "failed to solve the pypi requirements of environment 'default' for platform 'linux-64'",
            "Request failed after 3 retries",
            "error sending request for url (https://index.invalid/simple/six/)",
            "client error (Connect)",
        ];
        assert_eq!(links(said), expected);
        let ascii = said.replace('×', "x").replace("├─▶", "|->").replace("╰─▶", "`->").replace('│', "|");
        assert_eq!(links(&ascii), expected);
        let source = "Error:   × unknown key\n   ╭─[/x/pixi.toml:3:1]\n 3 │ nonsense = 1\n   ╰────\n  help: remove it\n";
        assert_eq!(links(source), ["unknown key"]);
        assert_eq!(
            links("  × lock-file not up-to-\n  │ date with the project\n"),
            ["lock-file not up-to-date with the project"]
        );
    }

    #[test]
    fn the_causes_of_pixi_pack_come_alone_or_numbered() {
        assert_eq!(
            links("Error: Could not unpack archive\n\nCaused by:\n    unexpected end of file\n"),
            ["Could not unpack archive", "unexpected end of file"]
        );
        let said = "\
⏳ Downloading 3 packages...
Error: could not download package

Caused by:
    0: an io error occurred
    1: No space left on device
       (os error 28)

Stack backtrace:
   0: anyhow::error
";
        assert_eq!(
            links(said),
            ["could not download package", "an io error occurred", "No space left on device (os error 28)"]
        );
    }

    #[test]
    fn a_panic_has_a_place_and_a_message() {
        let said = "\
thread 'main' (4711) panicked at crates/pixi_install_pypi/src/lib.rs:1267:14:
should be able to install all distributions: No such file
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
";
        let expected = [
            "it panicked at crates/pixi_install_pypi/src/lib.rs:1267:14",
            "should be able to install all distributions: No such file",
        ];
        assert_eq!(links(said), expected);
        assert_eq!(links(&said.replace(" (4711)", "")), expected);
        let second = "\nthread 'main' (4710) panicked at crates/x.rs:1:1:\nTokio executor failed, was this a panic?: x\n";
        assert_eq!(links(&format!("{said}{second}")), expected);
        assert_eq!(links(&format!("{}{second}", said.split("note").next().unwrap())), expected);
        assert!(links("nothing of the kind\nValueError: x\n").is_empty());
    }
}
