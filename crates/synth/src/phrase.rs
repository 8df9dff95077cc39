//! Noun phrases: what may be asked about, and how it is named in the middle of a question.

use std::collections::{HashMap, HashSet};

use record::Document;

use crate::verb;
use crate::words::{decapitalise, listed};

/// Words that make a phrase depend on what was said before, or that begin something other than a
/// noun phrase.
const NEVER_FIRST: &str = "this that these those it they he she we you i there here who which what such another other \
    some any most many much few several no nobody everyone everybody anyone anybody someone none one both all either \
    neither only also as if when while where why how because since although though however then thus hence so but and \
    or nor not never always often sometimes usually please note see first second third next finally its his her their \
    our my your once twice almost about nearly more less fewer least until unless together apart even just suppose \
    assume consider given using like unlike instead rather perhaps maybe two three four five six seven eight nine ten \
    eleven twelve thirteen fifteen sixteen twenty exactly failed thus therefore moreover furthermore \
    additionally similarly likewise normal";
/// Words that make a phrase incomplete or ambiguous wherever they stand.
const NEVER_INSIDE: &str = "who which that whose where when because if not it they them this these those he she him we us \
    you your our my their his her its same other following above below such previous next former latter former \
    equivalent corresponding respective original resulting respectively etc never always not only all both so called named known doing";
/// Things that every document has many of: alone they name nothing.
pub(crate) const GENERIC: &str = "thing things way ways case cases example examples list lists table tables column columns row rows \
    value values number numbers result results size sizes name names type types kind kinds part parts item items set \
    sets field fields file files page pages line lines word words text string strings data function functions routine \
    routines interface interfaces method methods object objects argument arguments parameter parameters option options \
    setting settings default defaults code codes error errors message messages command commands statement statements \
    query queries database databases index indexes indices key keys system systems program programs process processes \
    application applications user users person people member members time times date dates year years day days month \
    months hour hours minute minutes place places point points side sides end ends start top bottom front back section \
    sections chapter chapters document documents documentation note notes question questions answer answers problem \
    problems reason reasons rule rules step steps idea ideas work use uses change changes version versions release \
    releases feature features limit limits maximum minimum total sum average amount amounts length width height depth \
    rest others everything something anything nothing test tests test-case loop entry entries record records output \
    input implementation implementations library libraries code pointer structure callback caller return second third \
    first new old pair group groups bit bits byte bytes copy range state status mode algorithm operation operations \
    constant constants flag flags extension extensions module modules source buffer content contents transaction lock bug bugs array arrays element elements node nodes leaf \
    leaves term terms instance instances trigger triggers parent child token tokens slot slots interest procedure behavior behaviour datatype datatypes successful phonetic \
    current call calls";

/// Which words of a document are proper names, as far as its own spelling tells.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    lower: HashSet<String>,
    proper: HashSet<String>,
    /// Lower-case nouns after `the`, with the chunks in which they occur.
    nouns: HashMap<String, HashSet<usize>>,
    /// Lower-case words, with the chunks in which they occur.
    places: HashMap<String, HashSet<usize>>,
    /// Capitalised words: how often with `the` before them, and how often without.
    articled: HashMap<String, (usize, usize)>,
    /// Capitalised words before `version`: the product that the document is about.
    products: HashMap<String, usize>,
    /// How many passages the document has.
    chunks: usize,
}

impl Vocabulary {
    /// Reads all sentences of a document.
    pub fn new(document: &Document) -> Self {
        let mut vocabulary = Self { chunks: document.chunks.len(), ..Self::default() };
        for (index, chunk) in document.chunks.iter().enumerate() {
            for sentence in &chunk.sentences {
                let mut begins = true;
                let mut before = "";
                for token in sentence.text.split(' ') {
                    let word = token.trim_matches(|c: char| !c.is_alphanumeric());
                    let first = word.chars().next().unwrap_or(' ');
                    if first.is_lowercase() {
                        vocabulary.lower.insert(word.to_string());
                        vocabulary.places.entry(word.to_string()).or_default().insert(index);
                        if before.eq_ignore_ascii_case("the") {
                            vocabulary.nouns.entry(word.to_string()).or_default().insert(index);
                        }
                    } else if first.is_uppercase() && !begins {
                        vocabulary.proper.insert(word.to_string());
                        let count = vocabulary.articled.entry(word.to_string()).or_default();
                        if before.eq_ignore_ascii_case("the") { count.0 += 1 } else { count.1 += 1 }
                    }
                    if word == "version" && before.starts_with(char::is_uppercase) && !listed(PREFACES, before) {
                        *vocabulary.products.entry(before.to_string()).or_default() += 1;
                    }
                    begins = token.ends_with([':', ';', '"', '“', '(']);
                    before = word;
                }
            }
        }
        vocabulary
    }

    /// Whether the document puts `the` before a name, as in `the Anvil`.
    pub fn has_article(&self, name: &str) -> bool {
        self.articled.get(name).is_some_and(|(with, without)| with > without)
    }

    /// Whether the document speaks of `the noun` somewhere, or of the noun in one passage only.
    pub fn knows(&self, noun: &str) -> bool {
        self.nouns.contains_key(noun) || self.places.get(noun).is_some_and(|chunks| chunks.len() == 1)
    }

    /// The product whose versions the document speaks of most, e.g. `SQLite`.
    pub fn product(&self) -> Option<&str> {
        let most = self.products.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(*name)));
        most.map(|(name, _)| name.as_str())
    }

    /// A phrase as it is written in the middle of a sentence: `The bell` is `the bell`, `Steward`
    /// stays.
    pub fn within(&self, phrase: &str) -> String {
        let first = phrase.split(' ').next().unwrap_or("");
        let plain = first.chars().skip(1).all(|c| c.is_lowercase() || c == '-');
        let lower = decapitalise(first);
        let article = listed("the a an each every all no", &lower);
        // A word that is never capitalised within a sentence is no name, unless it stands alone and
        // is never in lower case either.
        let common = plain && first.chars().count() > 1 && !self.proper.contains(first);
        let followed = phrase[first.len()..].trim_start().starts_with(char::is_lowercase);
        let lowered = article || common && (followed || !phrase.contains(' ') && self.lower.contains(&lower));
        if lowered { decapitalise(phrase) } else { phrase.to_string() }
    }

    /// Whether `phrase` can be asked about on its own: it names one thing for a reader who has not
    /// read the sentence before.
    pub fn is_subject(&self, phrase: &str) -> bool {
        let noun = phrase.strip_prefix("the ").or(phrase.strip_prefix("a ")).unwrap_or(phrase);
        // A single noun must be spoken of in few places of the document; else it names many things.
        // What half of the document speaks of is its protagonist, and one thing again.
        let few = |count: usize| count <= 3 || count * 5 >= self.chunks * 2;
        self.is_thing(phrase) && self.nouns.get(noun).is_none_or(|chunks| few(chunks.len()))
    }

    /// Whether `phrase` names something when an attribute is named with it: `the postcode of the
    /// station`.
    pub fn is_thing(&self, phrase: &str) -> bool {
        let words: Vec<&str> = phrase.split(' ').collect();
        if words.len() > 7 || phrase.len() > 60 || phrase.contains([',', ';', ':', '"', '“', '”', '?', '!', '|']) {
            return false;
        }
        if !phrase.starts_with(char::is_alphanumeric) || phrase.matches('(').count() != phrase.matches(')').count() {
            return false;
        }
        // `X`, `P3`, `NNN`, `2050`: place-holders and numbers name nothing alone.
        let placeholder = |w: &str| {
            w.chars().all(|c| c.is_ascii_digit())
                || w.len() <= 4 && w.chars().all(|c| c.is_ascii_uppercase())
                || w.len() <= 2
        };
        if let [only] | ["the" | "a" | "an", only] = words[..]
            && placeholder(only)
        {
            return false;
        }
        let first = words.first().map_or(String::new(), |w| w.to_lowercase());
        let shortened = ["we", "i", "you", "they", "it", "he", "she", "that", "there", "let"];
        let shortened = first.split_once(['\'', '’']).is_some_and(|(w, _)| shortened.contains(&w));
        // `Listing 4-2`, `11.8.8 Linked binaries`: parts of the text, not of what it tells about.
        let numbered = words.len() > 1 && first.contains('.') && first.chars().all(|c| c.is_ascii_digit() || c == '.');
        if shortened || numbered || listed("listing figure table section chapter example appendix", &first) {
            return false;
        }
        // `the value for X`: a letter that stands for anything.
        let letter = |w: &str| w.len() == 1 && w.chars().all(|c| c.is_ascii_uppercase());
        if let [.., before, last] = words[..]
            && letter(last)
            && listed("of for in at on to", before)
        {
            return false;
        }
        let lower: Vec<String> = words.iter().map(|w| w.to_lowercase()).collect();
        let Some(first) = lower.first().filter(|w| !w.is_empty()) else { return false };
        if listed(NEVER_FIRST, first)
            || listed(verb::PREPOSITIONS, first)
            || first.ends_with("ing")
                && words.len() > 1
                && !first.starts_with(char::is_uppercase)
                && listed("the a an this that", &lower[1])
            || lower.iter().any(|w| listed(NEVER_INSIDE, w))
        {
            return false;
        }
        if lower
            .iter()
            .skip(1)
            .any(|word| listed("is are was were has have had can may must should will does do", word))
        {
            return false;
        }
        let last = lower.last().map_or("", String::as_str);
        if listed(verb::PREPOSITIONS, last) || listed("the a an and or", last) {
            return false;
        }
        // `Port and Starboard` is a pair of names; `the cell and the fan` asks about two things.
        if let Some(at) = lower.iter().position(|w| w == "and" || w == "or") {
            let names = |range: &[&str]| range.iter().all(|w| w.starts_with(char::is_uppercase));
            if lower[at] == "or" || !names(&words[..at]) || !names(&words[at + 1..]) {
                return false;
            }
        }
        let content: Vec<&str> = words
            .iter()
            .copied()
            .filter(|w| !listed("the a an each every of in for at on to with from and", &w.to_lowercase()))
            .collect();
        if content.iter().any(|word| is_name(word)) {
            return true;
        }
        let telling = content.iter().filter(|w| !listed(GENERIC, &w.to_lowercase())).count();
        match content.len() {
            0 => false,
            _ => telling >= 1,
        }
    }
}

/// Capitalised words that stand before `version` without being its product.
pub(crate) const PREFACES: &str = "In Since With The Beginning As Prior Before After From Until For By To At Of A An Each \
    This That New Current Latest See Starting";

/// A name or an identifier: capital letters, digits or underscores in it.
pub(crate) fn is_name(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
    word.chars().count() > 1
        && (word.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
            || word.contains('_')
            || word.chars().skip(1).any(|c| c.is_uppercase() || c.is_ascii_digit()))
}

/// Two or three capitalised words: a person as prose names them.
pub(crate) fn is_person(phrase: &str) -> bool {
    let words: Vec<&str> = phrase.split(' ').collect();
    let titled = words.first().is_some_and(|w| listed("Dr Mr Mrs Ms Professor Prof Captain Sister Nurse Dr. Prof.", w));
    let names = &words[usize::from(titled)..];
    let limits = if titled { 1..=3 } else { 2..=3 };
    limits.contains(&names.len())
        && names.iter().all(|w| {
            w.starts_with(char::is_uppercase) && w.chars().skip(1).any(char::is_lowercase) && w.chars().all(|c| c.is_alphabetic() || "-'’".contains(c))
        })
        && !words.iter().any(|w| listed("MV Workboat Boat The Hut Form Level Code Team Party Kelp Drill Deep Night Field Old Big Station Institute Trust House Bay Sea Island Isle Point Cape Tor Hill Mount Lake \
            Tarn River Beach Terrace Harbour Office Bureau Programme Survey Census Company Engines Room Grid Time Base Light", w))
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Chunk, Format, Sentence};

    fn vocabulary(text: &str) -> Vocabulary {
        let sentences = vec![Sentence { number: 1, text: text.into() }];
        let chunk = Chunk { id: "d#0".into(), document: "d".into(), headings: Vec::new(), sentences };
        Vocabulary::new(&Document {
            id: "d".into(),
            title: "T".into(),
            sha256: String::new(),
            bytes: 0,
            format: Format::Text,
            encoding: "UTF-8".into(),
            chunks: vec![chunk],
        })
    }

    #[test]
    fn phrases_are_named_as_in_the_middle_of_a_sentence() {
        let vocabulary = vocabulary("Now the spill kits and the controller Steward are here, drinking tea.");
        for (phrase, expected) in [
            ("The bell", "the bell"),
            ("Spill kits", "spill kits"),
            ("Steward", "Steward"),
            ("Drinking water", "drinking water"),
            ("SQLITE_MAX", "SQLITE_MAX"),
            ("Each turbine", "each turbine"),
        ] {
            assert_eq!(vocabulary.within(phrase), expected);
        }
    }

    #[test]
    fn only_self_contained_phrases_are_subjects() {
        let vocabulary = vocabulary("The pump is here.");
        for good in
            ["the lake pump", "Steward", "Port and Starboard", "the hub of each turbine", "sqlite3_open()", "the pump"]
        {
            assert!(vocabulary.is_subject(good), "{good}");
        }
        for bad in [
            "it",
            "this macro",
            "the value",
            "anyone who rings the bell",
            "the cell and the fan",
            "in winter",
            "the",
            "the first one that",
        ] {
            assert!(!vocabulary.is_subject(bad), "{bad}");
        }
        assert!(is_person("Dr Osric Tamberlane") && !is_person("Hob Tor"));
    }
}
