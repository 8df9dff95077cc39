/// What a text answers, in normal form: what stands behind the last `Answer:` up to the line's end;
/// where no `Answer:` stands, the last number. `None` if there is neither, or nothing behind it.
pub fn answer(text: &str) -> Option<String> {
    const MARK: &str = "answer:";
    // Lower-casing ASCII alone keeps every byte where it was.
    let lower = text.to_ascii_lowercase();
    let said = match lower.rfind(MARK) {
        Some(at) => normal(text[at + MARK.len()..].trim_start_matches(' ').lines().next().unwrap_or_default()),
        None => normal(last_number(text)?),
    };
    (!said.is_empty()).then_some(said)
}

/// Whether two answers say the same: equal in normal form, that is in lower case, with single spaces,
/// without a full stop at the end or signs of emphasis around, and with numbers by value (`1,200`,
/// `1200.0` and `$1200` are one).
pub fn same(left: &str, right: &str) -> bool {
    normal(left) == normal(right)
}

/// The normal form of an answer.
pub(crate) fn normal(text: &str) -> String {
    let words = text.split_whitespace().filter_map(|word| {
        let word = word.trim_matches(|c: char| "*_`\"'()[]".contains(c)).trim_end_matches(['.', ',', ';', '!', '?']);
        let word = word.trim_matches(|c: char| "*_`\"'()[]".contains(c)).to_lowercase();
        let number = word.strip_prefix(['$', '£', '€']).unwrap_or(&word).trim_end_matches('%');
        let word = number_form(number).unwrap_or(word);
        (!word.is_empty()).then_some(word)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// One form for all ways to write a decimal number: no separators of thousands, no zeros or sign
/// that say nothing. Works on the digits, so that no rounding makes two numbers equal.
pub(crate) fn number_form(word: &str) -> Option<String> {
    let (sign, digits) = match word.strip_prefix(['-', '\u{2212}']) {
        Some(digits) => ("-", digits),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let groups: Vec<&str> = whole.split(',').collect();
    let grouped =
        groups.len() == 1 || (groups[1..].iter().all(|group| group.len() == 3) && (1..=3).contains(&groups[0].len()));
    if !grouped || !groups.iter().all(|group| plain(group)) || !plain(fraction) {
        return None;
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let joined = groups.concat();
    let (whole, fraction) = (joined.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if whole == "0" && fraction.is_empty() { "" } else { sign };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// The last number that stands in a text, as written. A minus counts where no letter, digit or
/// bracket stands before it: `7-4` ends in `4`, `= -4` in `-4`.
fn last_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let inner = |at: usize| match bytes[at] {
        b'0'..=b'9' => true,
        // Points and commas belong to a number between two of its digits.
        b'.' | b',' => at > 0 && bytes[at - 1].is_ascii_digit(),
        _ => false,
    };
    let mut start = end - 1;
    while start > 0 && inner(start - 1) {
        start -= 1;
    }
    // `1, 2,3`: a comma that parts no thousands parts a list, whose last member is meant.
    let mut number = &text[start..end];
    while number_form(number).is_none() {
        let (_, rest) = number.split_once([',', '.'])?;
        number = rest;
        start = end - rest.len();
    }
    let minus = start > 0 && bytes[start - 1] == b'-';
    let operator = start > 1 && (bytes[start - 2].is_ascii_alphanumeric() || bytes[start - 2] == b')');
    if minus && !operator { Some(&text[start - 1..end]) } else { Some(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_counts_up_to_its_line() {
        for (text, wanted) in [
            ("7+4=11\nAnswer: 11\n", "11"),
            ("Answer: 3\nno,\nanswer: 1 East  2 north.\nmore 5", "1 east 2 north"),
            ("**Answer:** 42", "42"),
            ("Answer: $1,200.50 ", "1200.5"),
            ("Answer: -0", "0"),
            ("ANSWER:abc", "abc"),
        ] {
            assert_eq!(answer(text).as_deref(), Some(wanted), "{text:?}");
        }
        assert_eq!(answer("11\nAnswer:\n12"), None);
        assert_eq!(answer(""), None);
        assert_eq!(answer("no number"), None);
    }

    #[test]
    fn without_the_word_the_last_number_counts() {
        for (text, wanted) in [
            ("so he has 7-4=3 apples.", "3"),
            ("that is 1,234.50 in all", "1234.5"),
            ("= -4", "-4"),
            ("7-4", "4"),
            ("(7)-4", "4"),
            ("it is 12.", "12"),
            ("of 1,2,3", "3"),
            ("ä 5 ö", "5"),
            ("007", "7"),
            ("1.2.3", "2.3"),
        ] {
            assert_eq!(answer(text).as_deref(), Some(wanted), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_compared_by_value_and_words_by_letters() {
        for (a, b) in [("17", "17.0"), ("1,000", "1000"), ("+5", "5"), (".5", "0.50"), ("B.", "b"), ("50%", "50")] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("17", "7"),
            ("-3", "3"),
            ("1 east 2 north", "2 east 1 north"),
            ("abc", "acb"),
            ("10", "1"),
            ("1,00", "100"),
            ("9007199254740993", "9007199254740992"),
            ("0.1", "0.01"),
            ("", "0"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }
}
