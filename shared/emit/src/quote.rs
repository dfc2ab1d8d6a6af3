//! Words as a unit file has them: systemd.syntax(7), systemd.service(5).

/// A word of a line of words: quoted where it must be. Percent signs stand for themselves.
pub(crate) fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("\"{}\"", escaped(word))
}

/// The same where systemd would put a variable in place of a dollar sign.
pub(crate) fn word_of_command(text: &str) -> String {
    word(&text.replace('$', "$$"))
}

/// One `NAME=value`, always quoted.
pub(crate) fn assignment(name: &str, value: &str) -> String {
    format!("\"{}\"", escaped(&format!("{name}={value}")))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str("\\\""),
            '%' => out.push_str("%%"),
            '\n' => out.push_str(r"\n"),
            '\t' => out.push_str(r"\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_themselves() {
        for (text, expected) in [
            ("--port", "--port"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("100%", "\"100%%\""),
            (r#"{"a": "\n"}"#, r#""{\"a\": \"\\n\"}""#),
        ] {
            assert_eq!(word(text), expected);
        }
        assert_eq!(word_of_command("$HOME"), "\"$$HOME\"");
        assert_eq!(assignment("A", "two\nlines"), r#""A=two\nlines""#);
    }
}
