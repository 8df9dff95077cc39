//! From a fact to the parts of its questions.

use record::{Fact, FactKind};

use crate::number::{Moment, moment, quantity, rhythm};
use crate::phrase::is_person;
use crate::verb::{self, Form, form};
use crate::words::{capitalise, listed};

/// How a fact is asked for. Each family has its own frames for training and for items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// The attribute of a thing.
    Attribute,
    /// The colour of a thing.
    Colour,
    /// When a version came out.
    Release,
    /// What a sentence says with a verb.
    Verb,
    /// What a thing is called.
    Called,
    /// Who holds a role.
    Role,
    /// Who does something.
    Deed,
    /// How many there are.
    Existence,
    /// The word for a meaning.
    Term,
    /// The constant for a comment.
    Constant,
    /// How long something is done for a purpose.
    Duration,
    /// What is done for a purpose.
    Action,
}

/// The family of a rule's facts.
pub(crate) fn family(fact: &Fact) -> Family {
    match fact.rule.as_str() {
        "verb" | "count" | "version" => Family::Verb,
        "attribute" if fact.attribute == "colour" => Family::Colour,
        "release" => Family::Release,
        "called" => Family::Called,
        "who-is" => Family::Role,
        "who" => Family::Deed,
        "there-are" => Family::Existence,
        "term" => Family::Term,
        "constant" => Family::Constant,
        "duration" => Family::Duration,
        "action" => Family::Action,
        _ => Family::Attribute,
    }
}

/// The values of a frame's slots, by name.
pub(crate) type Slots = Vec<(&'static str, String)>;

/// The slots of a fact's frames. A frame that asks for a slot which is not there is not used.
pub(crate) fn slots(fact: &Fact) -> Slots {
    let subject = fact.subject.as_str();
    let mut slots: Slots = vec![("s", subject.into()), ("S", capitalise(subject)), ("a", fact.attribute.clone())];
    let plural = is_plural(subject);
    let person = is_person(subject);
    slots.push(("does", if plural { "do" } else { "does" }.into()));
    slots.push(("them", if plural { "them" } else { "it" }.into()));
    slots.push(("is", if plural { "are" } else { "is" }.into()));
    match family(fact) {
        Family::Verb => clause(fact, person, &mut slots),
        Family::Deed => {
            if let Some((form, base)) = form(&fact.attribute) {
                slots.push(("base", base));
                slots.push(("job", if form == Form::Past { "doing it was" } else { "job it would be" }.into()));
                slots.push(("falls", if form == Form::Past { "fell" } else { "falls" }.into()));
            }
        }
        Family::Attribute => {
            let many = is_plural(&fact.attribute);
            slots.push(("ais", if many { "are" } else { "is" }.into()));
        }
        _ => {}
    }
    slots
}

/// Whether a noun phrase is plural, by its head noun.
pub(crate) fn is_plural(phrase: &str) -> bool {
    let words: Vec<&str> = phrase.split(' ').collect();
    if words.contains(&"and") {
        return true;
    }
    if words.first().is_some_and(|w| listed("a an each every", w))
        || words.len() == 1 && phrase.starts_with(char::is_uppercase)
    {
        return false;
    }
    let head = words
        .iter()
        .take_while(|w| !listed("of in on at for from with to by behind beside between above under near", w));
    let head = head.last().copied().unwrap_or("");
    (head.ends_with('s')
        && !head.ends_with("ss")
        && !head.ends_with("us")
        && !head.ends_with("is")
        && head.chars().all(|c| c.is_lowercase() || c == '-'))
        || head == "people"
}

/// Slots of a sentence with a verb: `q` the direct question, `it` the same with a pronoun, `i` the
/// indirect one, `e` the echo (`Old Margit weighs how much`), `st` and `tail` the statement around
/// the answer.
fn clause(fact: &Fact, person: bool, slots: &mut Slots) {
    let Some((before, after)) = fact.attribute.split_once('…') else { return };
    let mut link: Vec<&str> = before.split_whitespace().collect();
    let mut tail: Vec<&str> = after.split_whitespace().collect();
    let Some((form, base)) = link.first().and_then(|word| form(word)) else { return };
    let statement = before.trim().to_string();
    let whole_tail = tail.join(" ");
    let verb = link.remove(0);
    // `at a depth of …` asks `at what depth`.
    let mut noun = None;
    if let [.., preposition, article, thing, "of"] = link[..]
        && listed("a an the", article)
    {
        noun = Some(thing);
        let keep = link.len() - 4;
        link.truncate(keep);
        link.push(preposition);
    }
    let place = fact.kind == FactKind::Place && !before.trim_end().ends_with(" of");
    let preposition = link.last().copied().filter(|w| !place && listed(verb::PREPOSITIONS, w));
    if preposition.is_some() {
        link.pop();
    }
    let (front, bare, trailing) = ask(fact, verb, preposition, noun, link.is_empty(), &mut tail);
    let (auxiliary, inner) = match form {
        Form::Auxiliary => (verb, String::new()),
        // `has survived`: the perfect's helper moves to the front.
        _ if base == "have" && link.first().is_some_and(|w| verb::is_participle(w)) => (verb, String::new()),
        Form::Singular => ("does", base.clone()),
        Form::Plural => ("do", base.clone()),
        Form::Past => ("did", base.clone()),
    };
    let join = |parts: &[&str]| parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(" ");
    let links = link.join(" ");
    let tail = tail.join(" ");
    let subject = fact.subject.as_str();
    slots.push(("q", join(&[&front, auxiliary, subject, &inner, &links, &tail])));
    slots.push(("Q", capitalise(&join(&[&front, auxiliary, subject, &inner, &links, &tail]))));
    if !person {
        let pronoun = if matches!(auxiliary, "are" | "were" | "do") || is_plural(subject) { "they" } else { "it" };
        slots.push(("it", join(&[&front, auxiliary, pronoun, &inner, &links, &tail])));
    }
    slots.push(("i", join(&[&bare, subject, verb, &links, &trailing, &tail])));
    slots.push(("e", join(&[&capitalise(subject), verb, &links, &front, &tail])));
    if whole_tail.is_empty() {
        slots.push(("st", join(&[&capitalise(subject), &statement])));
    } else {
        slots.push(("blank", join(&[&capitalise(subject), &statement, "___", &whole_tail])));
    }
}

/// The question word in front (`at what temperature`), bare (`what temperature`), and the
/// preposition that the bare one leaves behind (`at`). Takes from the tail what the question word
/// says itself.
fn ask(
    fact: &Fact,
    verb: &str,
    preposition: Option<&str>,
    noun: Option<&str>,
    bare: bool,
    tail: &mut Vec<&str>,
) -> (String, String, String) {
    let words: Vec<&str> = fact.answer.split(' ').collect();
    let with = |what: &str| match preposition {
        Some(preposition) => (format!("{preposition} {what}"), what.to_string(), preposition.to_string()),
        None => (what.to_string(), what.to_string(), String::new()),
    };
    let alone = |what: &str| (what.to_string(), what.to_string(), String::new());
    if let Some(noun) = noun {
        return with(&format!("what {noun}"));
    }
    if fact.rule == "version" {
        return with("which version");
    }
    if fact.rule == "count" {
        let things = tail.iter().take_while(|w| **w == "of" || !listed(verb::PREPOSITIONS, w)).count();
        let thing: Vec<&str> = tail.drain(..things).collect();
        return with(&format!("how many {}", thing.join(" ")));
    }
    match fact.kind {
        FactKind::Place => return alone("where"),
        FactKind::Date => {
            if rhythm(&words).is_some() {
                return alone("how often");
            }
            if words[0] == "from" {
                return alone("when");
            }
            let what = match moment(&words) {
                Some((Moment::Clock, _)) => "what time",
                Some((Moment::Year, _)) => "which year",
                Some((Moment::Month, _)) => "which month",
                Some((Moment::Weekday, _)) => "which day",
                _ => {
                    return match preposition {
                        Some("on" | "in" | "at") => alone("when"),
                        _ => with("what date"),
                    };
                }
            };
            return with(what);
        }
        FactKind::Name if preposition == Some("by") && is_person(&fact.answer) => return with("whom"),
        FactKind::Number => {}
        _ => return with("what"),
    }
    let measures = quantity(&words).and_then(|found| found.measures);
    let first = tail.first().copied().unwrap_or("");
    if listed("high deep long wide thick tall old", first) && measures.is_some() {
        tail.remove(0);
        return with(&format!("how {first}"));
    }
    let copula = bare && listed("is are was were", verb);
    match measures {
        Some("weight" | "price" | "volume" | "size") if copula && preposition.is_none() && !first.is_empty() => {
            alone("how much")
        }
        Some("time") if preposition.is_none() && matches!(first, "before" | "after") => {
            let when = tail.join(" ");
            tail.clear();
            alone(&format!("how long {when}"))
        }
        Some("time") if copula && preposition.is_none() => alone("what"),
        Some("time") => with("how long"),
        Some("distance") if listed("above below from north south east west behind beyond away off", first) => {
            with("how far")
        }
        _ if preposition.is_none() && first == "of" && tail.len() >= 2 => {
            let thing = tail[1];
            tail.drain(..2);
            with(&format!("{} {thing}", if thing.ends_with('s') { "how many" } else { "how much" }))
        }
        Some("distance") if matches!(preposition, Some("to" | "at" | "above" | "below")) => with("what height"),
        Some("distance" | "weight" | "price" | "size" | "volume" | "energy" | "power" | "rate" | "area" | "share")
            if preposition.is_none() && !copula =>
        {
            alone("how much")
        }
        Some(measures) if preposition.is_some() => with(&format!("what {measures}")),
        Some(_) if copula => alone("what"),
        Some(measures) => alone(&format!("what {measures}")),
        None if preposition.is_some() => with("what number"),
        None => alone("what"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    /// The direct and the indirect question of the only fact of a sentence with this answer.
    fn check(sentence: &str, answer: &str, direct: &str, indirect: &str) {
        let facts = corpus::facts(sentence);
        let fact = facts.iter().find(|fact| fact.answer == answer).unwrap_or_else(|| panic!("{facts:?}"));
        let slots = slots(fact);
        let get = |name: &str| slots.iter().find(|(slot, _)| *slot == name).map_or("", |(_, value)| value.as_str());
        assert_eq!((get("q"), get("i")), (direct, indirect), "{sentence}");
    }

    #[test]
    fn sentences_turn_into_questions() {
        check(
            "The coolant alarm comes at 98 °C.",
            "98 °C",
            "at what temperature does the coolant alarm come",
            "what temperature the coolant alarm comes at",
        );
        check(
            "Dame Tansy weighs 85 kilograms.",
            "85 kilograms",
            "how much does Dame Tansy weigh",
            "how much Dame Tansy weighs",
        );
        check(
            "At full load Agatha burns 31 litres of fuel an hour.",
            "31 litres",
            "how much fuel does Agatha burn an hour at full load",
            "how much fuel Agatha burns an hour at full load",
        );
        check(
            "The mill wheel is 7 metres wide.",
            "7 metres",
            "how wide is the mill wheel",
            "how wide the mill wheel is",
        );
        check(
            "The old tower has 118 steps.",
            "118",
            "how many steps does the old tower have",
            "how many steps the old tower has",
        );
        check(
            "The mill shop was founded in 1934.",
            "1934",
            "in which year was the mill shop founded",
            "which year the mill shop was founded in",
        );
        check(
            "The wheel house stands beside the salt pond.",
            "beside the salt pond",
            "where does the wheel house stand",
            "where the wheel house stands",
        );
        check(
            "The fuel tanks are cleaned every May.",
            "every May",
            "how often are the fuel tanks cleaned",
            "how often the fuel tanks are cleaned",
        );
        check(
            "The lake pump can lift 12 litres per second.",
            "12 litres per second",
            "how much can the lake pump lift",
            "how much the lake pump can lift",
        );
        check(
            "Ada Bergholm has led the mill since 2019.",
            "2019",
            "since which year has Ada Bergholm led the mill",
            "which year Ada Bergholm has led the mill since",
        );
        check(
            "The intake pipe is placed at a depth of 6 metres.",
            "6 metres",
            "at what depth is the intake pipe placed",
            "what depth the intake pipe is placed at",
        );
        check(
            "The mill gate lies 38 metres above the sea.",
            "38 metres",
            "how far does the mill gate lie above the sea",
            "how far the mill gate lies above the sea",
        );
    }

    #[test]
    fn number_of_a_phrase_is_that_of_its_head() {
        for plural in ["the blades", "storm shutters", "Port and Starboard", "the keys of the mill", "people"] {
            assert!(is_plural(plural), "{plural}");
        }
        for single in ["the hub of each turbine", "a press", "Bellows", "the glass", "the path to the cells"] {
            assert!(!is_plural(single), "{single}");
        }
    }
}
