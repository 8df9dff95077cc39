/// Words that frame a question and say nothing about its subject. A small collection has few
/// questions in its text, so that without this list `what` would be its rarest and weightiest word.
const STOP: &[&str] = &[
    "a", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "did", "do", "doe", "does", "for", "from",
    "had", "has", "have", "how", "if", "in", "into", "is", "it", "its", "many", "may", "much", "must", "of", "on",
    "or", "please", "shall", "should", "tell", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "to", "was", "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will",
    "with", "would", "you", "your",
];

/// The index terms of a text, in reading order, lower-case.
///
/// A word is a run of letters and digits; `_ - . : / '` and a comma join two of them when letters or
/// digits stand on both sides. A joined word gives itself and its parts, so that
/// `SQLITE_MAX_LENGTH` is found by the whole name and by `max length`; `pageSize` is split likewise.
/// Commas between digits are dropped (`5,417` = `5417`). Plural endings are cut from words of
/// letters (`ies` → `y`, `es` after `s x z ch sh`, and `s`, but not `ss us is`). Words that only
/// frame a question are left out.
pub fn terms(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in words(text) {
        let word = word.strip_suffix("'s").unwrap_or(word);
        let whole = stem(&joined(word));
        let parts: Vec<String> = parts(word).map(|part| stem(&part.to_lowercase())).collect();
        // A number such as 5,417 or 152.325 means nothing in parts.
        if parts.len() > 1 && !whole.chars().all(|c| c.is_ascii_digit() || ".:".contains(c)) {
            found.extend(parts.into_iter().filter(|part| !STOP.contains(&part.as_str())));
        }
        if !STOP.contains(&whole.as_str()) {
            found.push(whole);
        }
    }
    found
}

/// Runs of letters and digits with joiners inside.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || "_-.:/',".contains(c)))
        .map(|run| run.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|run| !run.is_empty())
        // `one,two` is two words, but `5,417` is one.
        .flat_map(|run| {
            let number = run.chars().all(|c| c.is_ascii_digit() || ",.".contains(c));
            run.split(move |c| c == ',' && !number)
        })
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

fn joined(word: &str) -> String {
    word.chars().filter(|c| *c != ',').flat_map(char::to_lowercase).collect()
}

/// Splits at joiners, and where a small letter is followed by a capital.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).flat_map(|part| {
        let mut cuts = vec![0];
        let mut before = ' ';
        for (at, c) in part.char_indices() {
            if before.is_lowercase() && c.is_uppercase() {
                cuts.push(at);
            }
            before = c;
        }
        cuts.push(part.len());
        cuts.windows(2).map(|cut| &part[cut[0]..cut[1]]).collect::<Vec<_>>()
    })
}

fn stem(word: &str) -> String {
    if word.len() <= 3 || !word.chars().all(char::is_alphabetic) {
        return word.into();
    }
    if let Some(base) = word.strip_suffix("ies").filter(|base| base.len() > 1) {
        return format!("{base}y");
    }
    if let Some(base) = word.strip_suffix("es")
        && ["s", "x", "z", "ch", "sh"].iter().any(|end| base.ends_with(end))
    {
        return base.into();
    }
    match word.strip_suffix('s') {
        Some(base) if !["s", "u", "i"].iter().any(|end| base.ends_with(end)) => base.into(),
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_found_whole_and_in_parts() {
        assert_eq!(terms("SQLITE_MAX_LENGTH"), ["sqlite", "max", "length", "sqlite_max_length"]);
        assert_eq!(terms("the pageSize's limits."), ["page", "size", "pagesize", "limit"]);
        assert_eq!(terms("RL-20617"), ["rl", "20617", "rl-20617"]);
        assert!(terms("sqlite3_open_v2()").contains(&"sqlite3_open_v2".to_string()));
    }

    #[test]
    fn numbers_stay_whole_and_plurals_meet_their_singular() {
        assert_eq!(terms("5,417 kilohertz at 08:15, not 152.325"), ["5417", "kilohertz", "08:15", "not", "152.325"]);
        assert_eq!(terms("batteries boxes stays glass status"), ["battery", "box", "stay", "glass", "status"]);
        assert_eq!(terms("red,green; blue"), ["red", "green", "blue"]);
        assert_eq!(terms("What is the — … of?"), Vec::<String>::new());
    }

    #[test]
    fn any_text_is_taken() {
        assert_eq!(terms("Ærøskøbing’s Öl 東京"), ["ærøskøbing", "s", "öl", "東京"]);
        assert!(terms("'',,--__..").is_empty());
    }
}
