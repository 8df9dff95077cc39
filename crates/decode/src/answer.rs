//! What does a text answer? The default for votes.

/// The last number in the text, without thousands separators and trailing zeros; else the last line
/// that is not empty, in lower case, without outer punctuation. None for a text without either.
pub fn last(text: &str) -> Option<String> {
    number(text).or_else(|| {
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        let line = line.rsplit(':').map(str::trim).find(|part| !part.is_empty())?;
        let bare = line.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        (!bare.is_empty()).then_some(bare)
    })
}

fn number(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let mut start = end;
    while start > 0 {
        let before = bytes[start - 1];
        // A separator belongs to the number only between digits.
        let inside = matches!(before, b'.' | b',') && start > 1 && bytes[start - 2].is_ascii_digit();
        if !before.is_ascii_digit() && !inside {
            break;
        }
        start -= 1;
    }
    // A hyphen after a letter or digit joins words; elsewhere it is a sign.
    let signed = start > 0 && bytes[start - 1] == b'-' && (start < 2 || !bytes[start - 2].is_ascii_alphanumeric());
    let digits = text[start..end].replace(',', "");
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => &digits,
    };
    let bare = digits.trim_start_matches('0');
    let zero = if bare.is_empty() || bare.starts_with('.') { "0" } else { "" };
    Some(format!("{}{zero}{bare}", if signed { "-" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::last;

    #[test]
    fn equal_answers_are_equal_texts() {
        for (text, answer) in [
            ("so 3 + 4 = 7.", Some("7")),
            ("Answer: 1,250.00 dollars", Some("1250")),
            ("x = -0.50", Some("-0.5")),
            ("route A-12", Some("12")),
            ("007", Some("7")),
            ("= 0", Some("0")),
            ("it is\nAnswer: **Blue**\n\n", Some("blue")),
            ("Answer:\n", Some("answer")),
            ("é 4é", Some("4")),
            ("  \n", None),
            ("!!", None),
        ] {
            assert_eq!(last(text).as_deref(), answer, "{text:?}");
        }
    }
}
