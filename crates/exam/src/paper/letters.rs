//! Which options does an answer choose?

use crate::normalise;

/// Options that can be called by a letter.
pub(crate) const MOST: usize = 12;

/// What says that the answer follows. The last one counts.
const MARKERS: [&str; 5] = ["answer is", "answer:", "答案】", "答案是", "答案："];

/// Place of an option by its letter, `A` being 0.
pub(crate) fn letter(text: &str, options: usize) -> Option<usize> {
    let mut characters = text.trim().chars();
    let (first, rest) = (characters.next()?, characters.next());
    let place = (first as usize).checked_sub('A' as usize)?;
    (rest.is_none() && place < options.min(MOST)).then_some(place)
}

/// The letters of places.
pub(crate) fn named(places: &[usize]) -> String {
    places.iter().map(|&place| (b'A' + place as u8) as char).collect()
}

/// The part of an answer in which the answer proper stands: what follows the last marker such as
/// `Answer:`, or all of it. A marker is found whatever its case.
pub(crate) fn told(text: &str) -> (&str, bool) {
    // ASCII only, so that places in the lowered text are places in the text.
    let low = text.to_ascii_lowercase();
    let after = MARKERS.iter().filter_map(|marker| low.rfind(marker).map(|at| at + marker.len())).max();
    match after {
        Some(at) => (text[at..].split("<eoa>").next().unwrap_or_default().trim(), true),
        None => (text.trim(), false),
    }
}

/// The options that an answer chooses, rising; none where it cannot be told.
///
/// After a marker such as `Answer:` the first group of letters counts (`A, C and D` is one). Without one,
/// the text of an option counts, then letters at the beginning, then letters anywhere if the text
/// names only one group of them. An `A` before a word in small letters is an article.
pub(crate) fn letters(text: &str, options: &[String]) -> Option<Vec<usize>> {
    let (said, marked) = told(text);
    let form = normalise(said);
    if let Some(place) = options.iter().position(|option| !form.is_empty() && normalise(option) == form) {
        return Some(vec![place]);
    }
    let groups = groups(said, options.len());
    let (start, first) = groups.first()?;
    let alike = groups.iter().all(|(_, group)| group == first);
    let leading = said[..*start].chars().all(|c| !c.is_alphanumeric());
    (marked || alike || leading).then(|| first.clone())
}

/// Groups of letters with the byte at which each begins: capital letters of options, one after the
/// other or with `,`, `、`, `and`, `&`, `/` or space between.
fn groups(text: &str, options: usize) -> Vec<(usize, Vec<usize>)> {
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut open = false;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let word = rest.find(|c: char| !c.is_alphanumeric()).map_or(rest, |end| &rest[..end]);
        if word.is_empty() {
            let c = rest.chars().next().unwrap_or(' ');
            open &= matches!(c, ' ' | ',' | '、' | '，' | '&' | '/');
            at += c.len_utf8();
            continue;
        }
        // Letters that stick to Chinese words are told from them.
        let ascii = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        let run = if ascii == 0 { word } else { &word[..ascii] };
        let run =
            if ascii == 0 { run.find(|c: char| c.is_ascii_alphanumeric()).map_or(run, |end| &run[..end]) } else { run };
        let after = &rest[run.len()..];
        let chosen: Option<Vec<usize>> = run.chars().map(|c| letter(&c.to_string(), options)).collect();
        let article = run == "A"
            && after.strip_prefix(' ').is_some_and(|next| {
                next.starts_with(|c: char| c.is_ascii_lowercase())
                    && !next.starts_with("and ")
                    && !next.starts_with("or ")
            });
        match chosen {
            Some(chosen) if !article => {
                match groups.last_mut() {
                    Some((_, group)) if open => group.extend(chosen),
                    _ => groups.push((at, chosen)),
                }
                open = true;
            }
            _ => open &= run == "and",
        }
        at += run.len();
    }
    for (_, group) in &mut groups {
        group.sort_unstable();
        group.dedup();
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_found_where_people_write_them() {
        let options: Vec<String> = ["a lamp", "the mast", "a boat", "no one"].map(String::from).to_vec();
        let cases = [
            ("B", "B"),
            ("(c)", ""),
            ("(C)", "C"),
            ("B. the mast", "B"),
            ("The mast.", "B"),
            ("AC", "AC"),
            ("A and C", "AC"),
            ("D, A", "AD"),
            ("A、C、D", "ACD"),
            ("A lamp was lit, so B", "B"),
            ("I think that it is C because A lamp burns", "C"),
            ("Either B or C", ""),
            ("B is wrong. Answer: D", "D"),
            ("B is right, since B says so", "B"),
            ("B would do, but C is better", "B"),
            ("【解析】A 错误 【答案】BD <eoa>", "BD"),
            ("故选C。", "C"),
            ("Answer: A", "A"),
            ("E", ""),
            ("DNA", ""),
            ("", ""),
        ];
        for (text, wanted) in cases {
            assert_eq!(letters(text, &options).map(|l| named(&l)).unwrap_or_default(), wanted, "{text:?}");
        }
    }
}
