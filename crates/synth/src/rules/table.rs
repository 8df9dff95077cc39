use record::FactKind;

use super::{COLOURS, Candidate, Context, kind};
use crate::number::{Moment, moment};
use crate::phrase::is_name;
use crate::verb::is_participle;
use crate::words::{decapitalise, listed};

/// Headers under which a row's key names a thing by itself.
const NAMING: &str = "name who person place item role position team department instrument boat ship vehicle building \
    programme program project product company country city animal plant dish title machine set room";
/// Headers whose cells are running text or say nothing to be learned by heart.
const TEXTUAL: &str = "description notes note comments comment remarks example examples details explanation link url";

/// Facts of a table row: row key × column header → cell.
///
/// A sentence is a row if its neighbour in the passage has the same headers; the first column is the
/// key, and a key that stands twice in the passage names nothing.
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    let Some(cells) = cells(context.text) else { return Vec::new() };
    let rows: Vec<Vec<(&str, &str)>> = context.chunk.sentences.iter().filter_map(|s| self::cells(&s.text)).collect();
    let same = |row: &&Vec<(&str, &str)>| {
        row[0].0 == cells[0].0 && row.iter().any(|(h, _)| cells[1..].iter().any(|(c, _)| c == h))
    };
    let table: Vec<_> = rows.iter().filter(same).collect();
    if table.len() < 2 || table.iter().filter(|row| row[0].1 == cells[0].1).count() != 1 {
        return Vec::new();
    }
    let Some(subject) = subject(cells[0].0, cells[0].1, context) else { return Vec::new() };
    let mut found = Vec::new();
    for (header, cell) in &cells[1..] {
        let attribute = attribute(header);
        if let Some(dated) = dated(&subject, &attribute, cell) {
            found.extend(dated);
            continue;
        }
        let column: Vec<&str> =
            table.iter().flat_map(|row| row.iter().filter(|(h, _)| h == header).map(|(_, c)| *c)).collect();
        // `Door: red` tells the door's colour.
        let colours = column.iter().filter(|cell| listed(COLOURS, cell.rsplit(' ').next().unwrap_or(""))).count();
        let coloured = colours * 2 > column.len();
        let attribute = if coloured && !attribute.ends_with("colour") && !attribute.ends_with("color") {
            format!("{attribute} colour")
        } else {
            attribute
        };
        // A column that says the same in every row tells nothing about this one.
        let varied = column.iter().any(|other| other != cell);
        let short = cell.split(' ').count() <= 5 && !cell.ends_with('.') && cell.chars().any(char::is_alphanumeric);
        if short && varied && !listed(TEXTUAL, &attribute) && attribute.split(' ').count() <= 4 && !attribute.is_empty()
        {
            found.push(Candidate::new("table", &subject, &attribute, cell, kind(cell)));
        }
    }
    found
}

/// `Built: 1980` says when it was built. A participle or an adverb as a header is nothing that a
/// thing has, so without a date there is no fact.
fn dated(subject: &str, header: &str, cell: &str) -> Option<Option<Candidate>> {
    let mut words = header.split(' ');
    let first = words.next().unwrap_or("");
    let other = words.next();
    let participle = is_participle(first) || listed("born begun", first);
    if listed("since until from to by at on in", first) || participle && other.is_some_and(|w| !listed("on in", w)) {
        return Some(None);
    }
    if !participle {
        return None;
    }
    let preposition = match moment(&cell.split(' ').collect::<Vec<_>>()) {
        Some((Moment::Year | Moment::Month, _)) => "in",
        Some((Moment::Date | Moment::Weekday, _)) => "on",
        Some((Moment::Clock, _)) => "at",
        None => return Some(None),
    };
    let attribute = format!("was {first} {preposition} …");
    Some(Some(Candidate::new("verb", subject, &attribute, cell, FactKind::Date)))
}

/// The cells of a sentence that reads `header: cell; header: cell`, two at least.
pub(crate) fn cells(text: &str) -> Option<Vec<(&str, &str)>> {
    let parts: Vec<_> = text.split("; ").map(|part| part.split_once(": ")).collect::<Option<_>>()?;
    let fits =
        |(header, cell): &(&str, &str)| header.split(' ').count() <= 5 && !cell.is_empty() && !header.ends_with('.');
    (parts.len() >= 2 && parts.iter().all(fits)).then_some(parts)
}

/// How a row is named in a question.
fn subject(header: &str, key: &str, context: &Context) -> Option<String> {
    let words: Vec<&str> = key.split(' ').collect();
    let switch = listed("on off yes no true false none all any", &key.to_lowercase());
    let sample = ["test", "example", "foo", "sample"].iter().any(|w| key.to_lowercase().contains(w));
    if switch
        || sample
        || words.len() > 5
        || key.len() > 45
        || key.contains("..")
        || key.contains([',', '"', '?', '|', '=', ';'])
    {
        return None;
    }
    let name = decapitalise_common(header);
    let last = name.rsplit(' ').next().unwrap_or("");
    let named = listed(NAMING, last) || words.len() > 1 && words.iter().all(|w| is_name(w));
    let phrase = words.len() > 1 && words[1].starts_with(char::is_lowercase) && words[1].len() > 2;
    if named || phrase || key.contains('_') || key.ends_with("()") {
        return Some(thing(key, context));
    }
    let ranked = key.starts_with(|c: char| c.is_ascii_digit()) && key.ends_with(|c: char| c.is_ascii_lowercase());
    if ranked {
        return None;
    }
    if header.split(' ').count() > 3 || key.to_lowercase().contains(&name) {
        return (words.len() > 1).then(|| thing(key, context));
    }
    // A number alone names nothing without the noun of its column; offsets and the like need more
    // than that, and are left.
    let number = key.chars().all(|c| c.is_ascii_digit());
    let tells = listed(
        "channel programme program stage code level step room berth gate drawer valve frequency key button \
        class grade zone zones route signal alarm flag lamp light colour color buoy dock bed shelf type token opcode",
        last,
    );
    match number {
        true if !tells => None,
        _ => Some(format!("{name} {key}")),
    }
}

/// A key that names a thing: with an article where it is a common noun.
fn thing(key: &str, context: &Context) -> String {
    let words: Vec<&str> = key.split(' ').collect();
    let second_lower = words.len() > 1 && words[1].starts_with(char::is_lowercase);
    let single = words.len() == 1 && !is_name(&decapitalise(key)) && context.vocabulary.within(key) != key;
    if words.len() == 1 && context.vocabulary.has_article(key) {
        return format!("the {key}");
    }
    let starts = words[0].chars().skip(1).all(char::is_lowercase) && words[0].starts_with(char::is_uppercase);
    if !(second_lower || single) || !starts {
        return key.to_string();
    }
    let head = words.iter().take_while(|w| !listed("of in on at for from with to", w)).last().unwrap_or(&words[0]);
    let plural = head.ends_with('s') && !head.ends_with("ss");
    let mass = listed("water oil fuel food snow fog gas bread flour sugar salt rice tea coffee", head);
    if plural || mass { decapitalise(key) } else { format!("the {}", decapitalise(key)) }
}

/// A header within a question: `Badge code` is `badge code`, `CO2` stays.
fn attribute(header: &str) -> String {
    decapitalise_common(header.trim_end_matches([':', '?']))
}

fn decapitalise_common(header: &str) -> String {
    let words = header.split(' ').map(|w| {
        if w.chars().skip(1).any(|c| c.is_uppercase() || c.is_ascii_digit()) { w.to_string() } else { w.to_lowercase() }
    });
    words.collect::<Vec<_>>().join(" ")
}
