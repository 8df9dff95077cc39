use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a fixed pattern that a test compiles")
}

static THOUSANDS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{1,3}(?:[,_\u{a0}\u{2009}\u{202f}]\d{3})+(?:\D|$)"));
static UNIT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|[\s(-])(\d[\d.:]*)([\p{Alphabetic}%°])"));

/// The form in which answers are compared. In this order:
///
/// 1. lower-case; typographic quotes, dashes, the minus sign and spaces become their plain forms;
/// 2. separators of thousands are dropped from digits: `5,417` and `5_417` → `5417`;
/// 3. a space is set between a number at the start of a word and what follows: `400watts` → `400
///    watts`, `45%` → `45 %`;
/// 4. punctuation is dropped, at the end too, but for: `. : / _ @ #` and `-` between two letters or
///    digits (`152.325`, `08:15`, `RL-20617`), where a hyphen between two letters becomes a space;
///    `-` and `+` before a number at the start of a word; `+` after a letter; `% ° $ € £`. An
///    apostrophe inside a word goes without a space;
/// 5. the articles `the`, `a` and `an` are dropped, unless nothing follows them (`deck A`);
/// 6. white space is collapsed.
///
/// An answer of nothing but punctuation has an empty form; [`exact_match`] then compares as written.
pub fn normalise(text: &str) -> String {
    let plain: String = text.chars().flat_map(plain).flat_map(char::to_lowercase).collect();
    let joined = drop_thousands(&plain);
    let spaced = UNIT.replace_all(&joined, "$1$2 $3");
    let words = drop_punctuation(&spaced);
    let words: Vec<&str> = words.split_whitespace().collect();
    let kept = words.iter().enumerate().filter(|&(index, word)| {
        let article = *word == "the" || ((*word == "a" || *word == "an") && index + 1 < words.len());
        !article || words.len() == 1
    });
    kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

fn plain(c: char) -> Option<char> {
    Some(match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '`' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{ad}' | '\u{200b}' | '\u{feff}' => return None,
        // The spaces that part thousands stay until those are joined.
        '\u{a0}' | '\u{2009}' | '\u{202f}' => c,
        c if c.is_whitespace() => ' ',
        c => c,
    })
}

fn drop_thousands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = THOUSANDS.find(rest) {
        // A digit or point before it means that these are the digits after a decimal point, or of a
        // longer number.
        let before = rest[..found.start()].chars().next_back();
        let number = !before.is_some_and(|c| c.is_ascii_digit() || c == '.' || c == ',' || c == '_');
        out.push_str(&rest[..found.start()]);
        let mut matched = found.as_str();
        let tail = matched.chars().next_back().filter(|c| !c.is_ascii_digit());
        matched = &matched[..matched.len() - tail.map_or(0, char::len_utf8)];
        out.extend(matched.chars().filter(|c| !number || c.is_ascii_digit()));
        rest = &rest[found.start() + matched.len()..];
    }
    out.push_str(rest);
    out
}

fn drop_punctuation(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or(' ');
    let mut out = String::with_capacity(text.len());
    for (index, &c) in characters.iter().enumerate() {
        let (before, after) = (if index == 0 { ' ' } else { at(index - 1) }, at(index + 1));
        let inner = before.is_alphanumeric() && after.is_alphanumeric();
        match c {
            c if c.is_alphanumeric() || "%°$€£".contains(c) => out.push(c),
            '-' if inner && before.is_alphabetic() && after.is_alphabetic() => out.push(' '),
            '.' | ':' | '/' | '_' | '@' | '#' | '-' if inner => out.push(c),
            '-' | '+' if after.is_ascii_digit() && !before.is_alphanumeric() => out.push(c),
            '+' if before.is_alphabetic() || (before == '+' && out.ends_with('+')) => out.push(c),
            '\'' if inner => {}
            _ => out.push(' '),
        }
    }
    out
}

/// Whether `text` equals one of the accepted answers after [`normalise`].
pub fn exact_match(text: &str, accepted: &[String]) -> bool {
    let given = normalise(text);
    accepted.iter().any(|answer| {
        let wanted = normalise(answer);
        if wanted.is_empty() { answer.trim() == text.trim() } else { wanted == given }
    })
}

/// Whether an accepted answer stands anywhere in `text`, as whole words of the normal forms: right in
/// substance, whatever is said around it.
pub fn contains(text: &str, accepted: &[String]) -> bool {
    let given = format!(" {} ", normalise(text));
    accepted.iter().any(|answer| {
        let wanted = normalise(answer);
        if wanted.is_empty() { text.contains(answer.trim()) } else { given.contains(&format!(" {wanted} ")) }
    })
}

/// Token F1 of `text` against the accepted answer that it fits best, in [0, 1]: 2PR / (P + R) over
/// the words of the normal forms, counted with repetitions.
pub fn token_f1(text: &str, accepted: &[String]) -> f64 {
    let given = normalise(text);
    accepted.iter().map(|answer| f1(&given, &normalise(answer))).fold(0.0, f64::max)
}

fn f1(given: &str, wanted: &str) -> f64 {
    let mut left: HashMap<&str, usize> = HashMap::new();
    wanted.split(' ').filter(|word| !word.is_empty()).for_each(|word| *left.entry(word).or_default() += 1);
    let (given_count, wanted_count) = (given.split_whitespace().count(), left.values().sum::<usize>());
    let mut shared = 0usize;
    for word in given.split_whitespace() {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 { 0.0 } else { 2.0 * shared as f64 / (given_count + wanted_count) as f64 }
}

/// Beginnings of answers that say that there is none, in normal form.
const ABSTENTIONS: &[&str] = &[
    "i dont know",
    "i do not know",
    "i dont have",
    "i do not have",
    "i am not sure",
    "im not sure",
    "i am unsure",
    "i cannot",
    "i cant",
    "im sorry",
    "i am sorry",
    "sorry",
    "as ai",
    "not known",
    "not mentioned",
    "not specified",
    "not stated",
    "no answer",
    "no idea",
    "it is not known",
    "it is unknown",
    "dont know",
];

/// Whether an answer is empty or says that the model does not know.
pub fn abstains(text: &str) -> bool {
    let said = normalise(text);
    said.is_empty()
        || ["unknown", "n/a", "unclear"].contains(&said.as_str())
        || ABSTENTIONS
            .iter()
            .any(|form| said.strip_prefix(form).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        exact_match(a, &[b.to_string()])
    }

    #[test]
    fn what_differs_in_form_alone_is_equal() {
        for (a, b) in [
            ("The Spindle.", "spindle"),
            (" 5,417 kilohertz", "5417 Kilohertz"),
            ("1_000_000", "1,000,000"),
            ("1\u{202f}000", "1000"),
            ("400watts", "400 watts"),
            ("45%.", "45 %"),
            ("“RL-20617”", "RL-20617"),
            ("sqlite3_open()", "`sqlite3_open`"),
            ("the captain’s cabin", "Captain's cabin"),
            ("south-east", "South East"),
            ("\u{2212}5 degrees", "-5 degrees"),
            ("42\u{a0}metres", "42 metres"),
            ("yes!", "Yes"),
        ] {
            assert!(same(a, b), "{a:?} = {:?}, {b:?} = {:?}", normalise(a), normalise(b));
        }
    }

    #[test]
    fn what_differs_in_meaning_is_not() {
        for (a, b) in [
            ("152.325", "15.2325"),
            ("08:15", "8.15"),
            ("-5", "5"),
            ("3.5", "35"),
            ("C++", "C"),
            ("deck A", "deck B"),
            ("deck", "deck A"),
            ("2-3", "23"),
            ("400 watts", "400"),
            ("<", ">"),
            ("", "<>"),
            ("$5", "5"),
            ("1,000", "1.000"),
            ("0.123,456", "0.123456"),
        ] {
            assert!(!same(a, b), "{a:?} = {:?}, {b:?} = {:?}", normalise(a), normalise(b));
        }
        assert!(same("<>", " <> "));
    }

    #[test]
    fn normal_forms_are_fixed_points() {
        for text in
            ["The 1,234.5 kW-hours of e.g. SQLITE_MAX_LENGTH!", "a", "an a", "-7°C / 12V", "1,2,3", "12,345,678"]
        {
            let once = normalise(text);
            assert_eq!(normalise(&once), once, "{text}");
        }
        assert_eq!(normalise("12,345,678 and 1,2345 and 7,000"), "12345678 and 1 2345 and 7000");
    }

    #[test]
    fn an_answer_is_found_inside_a_sentence_as_whole_words() {
        let accepted = ["64 kilograms".to_string(), "64 kg".to_string()];
        assert!(contains("The bell Old Margit is 64 kilograms.", &accepted));
        assert!(contains("About 64kg!", &accepted));
        assert!(!contains("It weighs 164 kilograms", &accepted) && !contains("", &accepted));
        assert!(contains("use the <> operator", &["<>".into()]) && !contains("use =", &["<>".into()]));
    }

    #[test]
    fn f1_counts_shared_words_of_the_best_answer() {
        let accepted = vec!["the red lamp".to_string(), "lamp".to_string()];
        assert_eq!(token_f1("Lamp", &accepted), 1.0);
        // By hand: "blue lamp" against "red lamp": one of two and two; against "lamp": 2/3.
        assert!((token_f1("blue lamp", &accepted) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(token_f1("mast", &accepted), 0.0);
        assert_eq!(token_f1("", &accepted), 0.0);
        assert!((token_f1("lamp lamp", &accepted[1..]) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn abstentions_are_seen_and_answers_are_not_taken_for_them() {
        for text in
            ["", " . ", "I don't know.", "I don’t know the number", "As an AI, I", "Unknown", "N/A", "Sorry, but"]
        {
            assert!(abstains(text), "{text:?} = {:?}", normalise(text));
        }
        for text in ["none", "no", "42", "unknown soldier", "I", "sorryman"] {
            assert!(!abstains(text), "{text:?}");
        }
    }
}
