/// Words before a full stop that do not end a sentence.
const ABBREVIATIONS: &str = "e.g i.e eg ie vs cf viz approx ca dr mr mrs ms prof st fig figs sec ch chap vol pp jr sr lt capt col gen rev \
    mt dept est ed eds incl max min resp al";

/// Words that may stand before a number: `No. 5`, `p. 12`.
const BEFORE_NUMBER: &str = "no nr p art op eq ver v";

/// Words that begin sentences and never follow an initial: `class B. The …` is two sentences.
const OPENERS: &str = "the a an this that these those it its they their he she his her we you in on at for if when each every all \
    no some there to after before from one two three four five six seven eight nine ten nobody both use see note \
    otherwise however then so but and as by only never do with or";

/// Things that are told apart by letters: `class B. Members …` is two sentences.
const LETTERED: &str = "class grade type aisle appendix block option plan room hut section group zone row step hall gate line \
    vitamin team form key button drawer dock berth";

/// Cuts a paragraph (white space collapsed) into its sentences.
///
/// A sentence ends at `.`, `!` or `?`, with closing quotes and brackets, before white space and
/// something that can begin a sentence. Abbreviations, initials, decimals, versions, file names,
/// enumerators and anything inside brackets do not end one.
pub fn split(paragraph: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut depth = 0usize;
    let mut opened = 0;
    let mut characters = paragraph.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '(' | '[' => {
                if depth == 0 {
                    opened = at;
                }
                depth += 1;
            }
            ')' | ']' => {
                depth = depth.saturating_sub(1);
                // A sentence that stands in brackets as a whole ends with them.
                let end = at + character.len_utf8();
                let whole = paragraph[start..opened].trim().is_empty() && paragraph[..at].ends_with(['.', '!', '?']);
                if depth == 0 && whole && paragraph[end..].starts_with(' ') && begins(paragraph[end..].trim_start()) {
                    sentences.push(paragraph[start..end].trim());
                    start = end;
                }
            }
            '.' | '!' | '?' => {
                // A bracket that nobody closes must not swallow the rest.
                if depth > 0 && at - opened < 300 {
                    continue;
                }
                let mut end = at + character.len_utf8();
                while let Some((next, closer)) = characters.peek().copied() {
                    if !".!?\"')]”’»".contains(closer) {
                        break;
                    }
                    end = next + closer.len_utf8();
                    characters.next();
                }
                let rest = &paragraph[end..];
                if rest.starts_with(' ') && begins(rest.trim_start()) {
                    let plain = character == '.' && end == at + 1;
                    if !(plain && holds_on(&paragraph[start..at], rest.trim_start())) {
                        sentences.push(paragraph[start..end].trim());
                        start = end;
                        depth = 0;
                    }
                }
            }
            _ => {}
        }
    }
    sentences.push(paragraph[start..].trim());
    sentences.retain(|sentence| sentence.chars().any(char::is_alphanumeric));
    sentences
}

/// Whether a sentence can begin like this. A lower-case word cannot, unless it is an identifier
/// such as `sqlite3_open()`.
fn begins(rest: &str) -> bool {
    let word = rest.split(' ').next().unwrap_or("");
    let inner = word.trim_start_matches(['"', '\'', '(', '[', '“', '‘', '«', '*', '`', '-', '–', '—', '−', '$', '/']);
    match inner.chars().next() {
        None => !word.is_empty(),
        Some(first) if first.is_lowercase() => inner.contains(['_', '(']),
        Some(_) => true,
    }
}

/// Whether the full stop after `before` belongs to its last word.
fn holds_on(before: &str, rest: &str) -> bool {
    let mut words = before.rsplit(' ');
    let word = words.next().unwrap_or("").trim_start_matches(['(', '[', '"', '\'', '“']);
    let previous = words.next();
    let lower = word.to_lowercase();
    let next = rest.split(' ').next().unwrap_or("").trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    if listed(ABBREVIATIONS, &lower) {
        return true;
    }
    if listed(BEFORE_NUMBER, &lower) && next.starts_with(|c: char| c.is_ascii_digit()) {
        return true;
    }
    // `3. Turn the key`: the number of a list entry.
    if previous.is_none() && !word.is_empty() && word.len() <= 3 && word.chars().all(|c| c.is_ascii_digit()) {
        return true;
    }
    // An initial, as in `J. Smith` or `Ada B. King`.
    let mut letters = word.chars();
    let initial = matches!((letters.next(), letters.next()), (Some(only), None) if only.is_uppercase());
    let lettered = previous.is_some_and(|p| listed(LETTERED, &p.to_lowercase()));
    let name = rest.split(' ').next().unwrap_or("").trim_end_matches([',', '.', ';', ':', '?', '!', ')']);
    let name = name.starts_with(char::is_uppercase) && name.chars().all(|c| c.is_alphabetic() || "-'’".contains(c));
    initial && name && !lettered && !listed(OPENERS, &next)
}

fn listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|entry| entry == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` marks where the text must be cut, and nowhere else.
    fn check(marked: &str) {
        let text = marked.replace('|', " ");
        let expected: Vec<&str> = marked.split('|').collect();
        assert_eq!(split(&text), expected);
    }

    #[test]
    fn sentences_end_where_readers_end_them() {
        check("The pump is on.|It hums!|Does it leak?|No.");
        check("Old Margit weighs 64.5 kg.|She rings at 08:00.");
        check("Use version 3.40.1 or later, e.g. the Debian one, i.e. Bookworm.|It works.");
        check("See sqlite.org/docs.html for more.|Call sqlite3_open().|sqlite3_close() ends it.");
        check("Dr. Osric Tamberlane met J. Smith and Ada B. King at St. Ives.|They left.");
        check("It needs a certificate of class B. |Five members hold one.".replace(" |", "|").as_str());
        check("The inverters hang beside aisle A.|The fan is new.");
        check("3. Hold the green button for 6 seconds.");
        check("He said \"Look twice.\"|Then he left (on foot. In snow.) and slept.");
        check("It holds No. 5 and p. 12.|Done.");
        check("Wait... then go.|(It may take long.)|End.");
        check("An open ( bracket stays.");
        check("(Example: 'yes' [FALSE].)|Some take X.|Abs(X) takes X.|Or Y.");
        check("Set it to 5.|10 is too much.");
    }

    #[test]
    fn nothing_but_white_space_is_lost() {
        let text = "A b. C d? \"E f!\" G (h. I) j. K";
        assert_eq!(split(text).join(" "), text);
        assert!(split("").is_empty() && split("— . —").is_empty());
    }
}
