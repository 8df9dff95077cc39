//! Words as the wording rules count them.

/// Lower-case words: split at white space, punctuation taken off both ends, possessive `'s` taken
/// off the end. Identifiers, versions and numbers stay whole.
pub fn words(text: &str) -> Vec<String> {
    let clean = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_').to_lowercase();
        word.strip_suffix("'s").or(word.strip_suffix("’s")).map_or(word.clone(), str::to_string)
    };
    text.split_whitespace().map(clean).filter(|word| !word.is_empty()).collect()
}

/// Runs of letters and digits in lower case: what two wordings have in common is counted in these,
/// as the exam counts it, so that an identifier or a version is as many words as it has parts.
pub(crate) fn runs(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    parts.map(str::to_lowercase).collect()
}

/// Whether `word` stands in a list of words between spaces.
pub(crate) fn listed(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|entry| entry == word)
}

/// Whether the words of `part` follow each other in `whole`.
pub(crate) fn holds(whole: &str, part: &str) -> bool {
    let (whole, part) = (words(whole), words(part));
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}

/// The words of a question that are neither the subject's nor the answer's.
pub(crate) fn masked(question: &str, subject: &str, answer: &str) -> Vec<String> {
    let (subject, answer) = (runs(subject), runs(answer));
    runs(question).into_iter().filter(|word| !subject.contains(word) && !answer.contains(word)).collect()
}

/// The share of `item`'s masked words that occur in `training`, in [0, 1]; 0 without any words.
pub(crate) fn shared(item: &[String], training: &[String]) -> f64 {
    let common = item.iter().filter(|word| training.contains(word)).count();
    if item.is_empty() { 0.0 } else { common as f64 / item.len() as f64 }
}

/// All sequences of eight words.
pub(crate) fn eight_grams(text: &str) -> Vec<String> {
    runs(text).windows(8).map(|window| window.join(" ")).collect()
}

/// First letter in upper case.
pub(crate) fn capitalise(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// First letter in lower case.
pub(crate) fn decapitalise(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_identifiers_and_lose_punctuation() {
        assert_eq!(words("What's SQLITE_MAX's \"value\" (in 3.8.0)?"), ["what", "sqlite_max", "value", "in", "3.8.0"]);
        assert!(holds("Set to 3.8.0, please", "3.8.0") && !holds("13.8.0", "3.8.0") && !holds("x", ""));
        let item = masked("How heavy would Old Margit be?", "Old Margit", "64 kg");
        assert_eq!(item, ["how", "heavy", "would", "be"]);
        assert_eq!(shared(&item, &masked("How much does Old Margit weigh?", "Old Margit", "64 kg")), 0.25);
        assert_eq!(eight_grams("a b c d e f g h i").len(), 2);
        assert_eq!(runs("SQLITE_MAX in 3.8.0?"), ["sqlite", "max", "in", "3", "8", "0"]);
    }
}
