//! The wordings' frames. Those for training ask directly or leave the answer open; those for items
//! ask in a roundabout way, with other words. No frame stands in both lists, and a test holds them
//! apart word by word.
//!
//! `{s}` is the subject within a sentence, `{S}` at its start, `{a}` the attribute; the others are
//! named in `question`.

use crate::question::Family;

/// Frames for training questions; six or more a family.
pub(crate) fn training(family: Family) -> &'static [&'static str] {
    match family {
        Family::Attribute => &[
            "What {ais} the {a} of {s}?",
            "What {a} {does} {s} have?",
            "{S}: what {ais} the {a}?",
            "Complete the sentence: the {a} of {s} {ais}",
            "State the {a} of {s}.",
            "For {s}, what {ais} the {a}?",
            "Which {a} {does} {s} have?",
            "Fill in the blank: the {a} of {s} {ais} ___.",
            "Give the {a} of {s}.",
        ],
        Family::Colour => &[
            "What colour {is} {s}?",
            "What is the colour of {s}?",
            "Which colour {does} {s} have?",
            "{S}: what is the colour?",
            "Complete the sentence: the colour of {s} is",
            "Fill in the blank: the colour of {s} is ___.",
            "State the colour of {s}.",
        ],
        Family::Release => &[
            "When was {s} released?",
            "What is the release date of {s}?",
            "On which date was {s} released?",
            "Complete the sentence: {s} was released on",
            "{S} was released on what date?",
            "Give the release date of {s}.",
            "Fill in the blank: {s} was released on ___.",
        ],
        Family::Verb => &[
            "{Q}?",
            "Answer in a few words: {q}?",
            "Complete the sentence: {st}",
            "Fill in the blank: {blank}.",
            "{e}?",
            "{S}: {it}?",
            "Question: {q}?",
            "In short, {q}?",
            "State briefly: {q}?",
            "As written, {q}?",
        ],
        Family::Called => &[
            "What {is} {s} called?",
            "What is the name of {s}?",
            "Which name {does} {s} have?",
            "Complete the sentence: {s} {is} called",
            "{S} {is} called what?",
            "State the name of {s}.",
            "Fill in the blank: {s} {is} called ___.",
        ],
        Family::Role => &[
            "Who is {s}?",
            "What is the name of {s}?",
            "Which person is {s}?",
            "Complete the sentence: {s} is",
            "{S} is who?",
            "State the name of {s}.",
            "Fill in the blank: {s} is ___.",
        ],
        Family::Deed => &[
            "Who {a} {s}?",
            "Who is it that {a} {s}?",
            "State briefly: who {a} {s}?",
            "Answer in a few words: who {a} {s}?",
            "Fill in the blank: ___ {a} {s}.",
            "Question: who {a} {s}?",
            "In short, who {a} {s}?",
        ],
        Family::Existence => &[
            "How many {s} are there?",
            "What is the number of {s}?",
            "There are how many {s}?",
            "Complete the sentence: the number of {s} is",
            "Fill in the blank: there are ___ {s}.",
            "State the number of {s}.",
            "In short, how many {s} are there?",
        ],
        Family::Term => &[
            "Which term means {s}?",
            "What is the term for {s}?",
            "What is the word for {s}?",
            "Complete the sentence: the word for {s} is",
            "Give the term that means {s}.",
            "Which word means {s}?",
            "Fill in the blank: ___ means {s}.",
        ],
        Family::Constant => &[
            "Which constant stands for \"{s}\"?",
            "What is the name of the constant for \"{s}\"?",
            "Give the constant that means \"{s}\".",
            "Complete the sentence: the constant for \"{s}\" is",
            "\"{S}\" is the meaning of which constant?",
            "Fill in the blank: the constant ___ means \"{s}\".",
        ],
        Family::Duration => &[
            "To {s}, how long must you {a}?",
            "How long must you {a} to {s}?",
            "To {s}, you must {a} for how long?",
            "Fill in the blank: to {s}, {a} for ___.",
            "In order to {s}, how long is it necessary to {a}?",
            "Complete the sentence: to {s}, you must {a} for",
        ],
        Family::Action => &[
            "To {s}, what must you {a}?",
            "What must you {a} to {s}?",
            "Fill in the blank: to {s}, {a} ___.",
            "Complete the sentence: to {s}, you must {a}",
            "In order to {s}, {a} what?",
            "To {s}, you must {a} what?",
        ],
    }
}

/// Frames for items; four or more a family.
pub(crate) fn items(family: Family) -> &'static [&'static str] {
    match family {
        Family::Attribute | Family::Colour => &[
            "Could somebody look up {s} and tell me the {a}?",
            "Regarding {s}, do you happen to know the {a}?",
            "I am curious about {s}: can you say the {a}?",
            "If somebody mentions {s}, can you recall the {a}?",
            "Do you know anything about {s}, such as the {a}?",
        ],
        Family::Release => &[
            "Do you remember when {s} came out?",
            "Could somebody look up {s} and tell me when it appeared?",
            "Regarding {s}, do you happen to know when it came out?",
            "I am curious about {s}: can you say when it became available?",
        ],
        Family::Verb => &[
            "Could you tell me {i}?",
            "Do you happen to know {i}?",
            "I am trying to find out {i}; can you help me?",
            "Does anybody remember {i}?",
            "Would you be able to tell me {i}?",
        ],
        Family::Called => &[
            "How do people refer to {s}?",
            "When people talk about {s}, how do they refer to {them}?",
            "Can you tell me how everybody refers to {s}?",
            "If I had to mention {s} to somebody, how should I refer to {them}?",
        ],
        Family::Role => &[
            "Could you tell me whoever serves as {s}?",
            "Somebody needs to reach {s}: whom should they ask for?",
            "If a visitor asks for {s}, whom do you point to?",
            "Do you remember whoever holds the post of {s}?",
        ],
        Family::Deed => &[
            "Do you know whose {job} to {base} {s}?",
            "Could you tell me on whom it {falls} to {base} {s}?",
            "Can you recall whose {job} to {base} {s}?",
            "Somebody mentioned {s}: do you know whose {job} to {base} that?",
        ],
        Family::Existence => &[
            "Could you give me a figure for {s}?",
            "If you went and counted {s}, which total would you reach?",
            "Do you know to which total {s} add up?",
            "Can you recall a figure for {s}?",
        ],
        Family::Term => &[
            "How do people here refer to {s}?",
            "Can you tell me how everybody refers to {s}?",
            "I am looking for an expression: how do people refer to {s}?",
            "Somebody described {s}; how would people usually refer to that?",
        ],
        Family::Constant => &[
            "A header file comments an entry as \"{s}\"; do you know its symbol?",
            "Can you recall a symbol whose comment says \"{s}\"?",
            "I came across \"{s}\" in a comment: could you tell me its symbol?",
            "Do you happen to know a symbol described as \"{s}\"?",
        ],
        Family::Duration => &[
            "A newcomer wants to {s}: after which time may she stop?",
            "Somebody is about to {s}; after which time can they let go?",
            "Suppose I want to {s}: can you say after which time I may stop?",
            "Could you tell me the required time if I want to {s}?",
        ],
        Family::Action => &[
            "A newcomer wants to {s}: which one should she {a}?",
            "Do you happen to know which one people {a} so as to {s}?",
            "Could you tell me which one I should {a} if I want to {s}?",
            "Can you recall which one somebody would {a} so as to {s}?",
        ],
    }
}

/// A frame with its slots filled, or nothing if a slot is missing.
pub(crate) fn fill(frame: &str, slots: &[(&'static str, String)]) -> Option<String> {
    let mut filled = String::new();
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&slots.iter().find(|(slot, _)| *slot == name)?.1);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Family::*;
    use std::collections::HashSet;

    const ALL: &[Family] =
        &[Attribute, Colour, Release, Verb, Called, Role, Deed, Existence, Term, Constant, Duration, Action];

    #[test]
    fn there_are_enough_frames_and_none_serves_both() {
        let training: HashSet<&str> = ALL.iter().flat_map(|f| super::training(*f)).copied().collect();
        for family in ALL {
            assert!(super::training(*family).len() >= 6 && items(*family).len() >= 4, "{family:?}");
            for item in items(*family) {
                assert!(!training.contains(item), "{item}");
                assert!(item.ends_with('?'), "{item}");
            }
        }
    }

    #[test]
    fn frames_of_items_use_other_words() {
        let frame_words = |frame: &str| -> Vec<String> {
            let bare = frame.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
            crate::words::words(&bare.collect::<Vec<_>>().join(" "))
        };
        for family in ALL {
            for item in items(*family) {
                let item = frame_words(item);
                for training in super::training(*family) {
                    let training = frame_words(training);
                    let common = item.iter().filter(|word| training.contains(word)).count();
                    assert!(common * 2 <= item.len(), "{item:?} and {training:?}");
                }
            }
        }
    }

    #[test]
    fn a_missing_slot_gives_no_question() {
        let slots = vec![("s", "the bell".to_string())];
        assert_eq!(fill("What is {s}?", &slots).as_deref(), Some("What is the bell?"));
        assert_eq!(fill("What is the {a} of {s}?", &slots), None);
    }
}
