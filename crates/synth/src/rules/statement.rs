use record::FactKind;

use super::clause::{End, PLACES, cut, noun_phrase, plain};
use super::{COLOURS, Candidate, kind};
use crate::number::{moment, quantity, rhythm};
use crate::phrase::{GENERIC, Vocabulary, is_name, is_person};
use crate::verb::{self, Form, form, is_participle};
use crate::words::listed;

/// Verbs that say where something is.
const STANDING: &str = "stand lie hang sit live";
/// Participles that say where something is.
const KEPT: &str = "stored kept located placed found mounted bolted attached hung parked buried housed installed fixed \
    situated pinned posted locked";
/// Verbs whose object is asked for by `what`.
const TRANSITIVE: &str = "use burn carry contain return need wear show produce make require represent determine supply \
    drive treat";
/// Verb phrases whose end is asked for by `what` or `who`.
const PHRASES: &str = "made-of made-by made-from filled-with powered-by covered-with printed-on written-in written-with \
    managed-by lined-with heated-by heated-with run-by edited-by led-by built-by designed-by owned-by cooled-with \
    cooled-by cleaned-with sealed-with painted-with insulated-with wrapped-in fed-with carved-from cut-from come-from \
    run-on belong-to work-by cast-by founded-by named-after held-by kept-by carried-by checked-by chaired-by \
    coordinated-by supervised-by powered-from dried-with marked-with stored-as encoded-as encoded-in implemented-as \
    followed-by licensed-under shipped-in packed-in served-in shipped-to sent-to reported-to paid-by returned-to";
/// Adjectives of size: how high, how deep.
const DIMENSIONS: &str = "high deep long wide thick tall across old";
/// Nouns that are no attribute: `the act of deleting a file`.
const VAGUE: &str = "act use choice purpose effect result reason goal idea lack set kind rest end part contents \
    meaning behavior behaviour order presence absence possibility content advantage disadvantage benefit case task aim \
    need role sum list exception side one all most";
/// How adjectives end, of those that could be taken for the name of a thing.
const ADJECTIVE_ENDS: &[&str] =
    &["ary", "ful", "ive", "able", "ible", "ic", "al", "ous", "less", "ant", "ent", "ish", "ect", "arge", "mall"];

/// One verb with what follows it, said of a subject.
pub(super) struct Statement<'a> {
    pub vocabulary: &'a Vocabulary,
    pub subject: &'a str,
    pub verb: (Form, String),
    /// From the verb to the end of the clause.
    pub words: &'a [&'a str],
    /// `at full load`, or empty.
    pub lead: &'a str,
}

impl Statement<'_> {
    /// What the clause says, if its words are all understood.
    pub fn facts(&self) -> Vec<Candidate> {
        let (clause, end) = cut(&self.words[1..]);
        let rest = clause.as_slice();
        let denied = |w: &&str| listed("not never no cannot neither nor hardly rarely", w) || w.ends_with("n't");
        if rest.is_empty() || end == End::Condition || rest.iter().any(denied) {
            return Vec::new();
        }
        if self.verb.1 == "have" || listed("carry wear", &self.verb.1) {
            let found = self.having(rest, end == End::Whole);
            if !found.is_empty() {
                return found;
            }
        }
        // `2, 4 or 5 arguments`: the number goes on.
        let next = self.words.get(rest.len() + 1).copied().unwrap_or("");
        let listing =
            end == End::Open && (next.starts_with(|c: char| c.is_ascii_digit()) || listed("two three four five", next));
        if let Some(found) = self.measured(rest).filter(|_| !listing) {
            return vec![found];
        }
        if let Some(found) = self.timed(rest) {
            return vec![found];
        }
        if end != End::Whole {
            return Vec::new();
        }
        let others = self
            .coloured(rest)
            .or_else(|| self.placed(rest))
            .or_else(|| self.named(rest))
            .or_else(|| self.things(rest));
        others.into_iter().collect()
    }

    /// The attribute of a verb phrase: the verb, its links, and what follows the answer.
    fn attribute(&self, link: &[&str], tail: &[&str]) -> String {
        let verb = std::iter::once(self.words[0]).chain(link.iter().copied().filter(|w| !listed(verb::ADVERBS, w)));
        let lead = (!self.lead.is_empty()).then_some(self.lead);
        let parts: Vec<&str> = verb.chain(std::iter::once("…")).chain(tail.iter().copied()).chain(lead).collect();
        parts.join(" ")
    }

    /// `A of S is X` as (A, S).
    fn split_subject(&self) -> Option<(&str, &str)> {
        let subject = self.subject.strip_prefix("the ")?;
        let measure = |a: &&str| {
            listed(
                "default maximum minimum limit record name price cost number code rate size length value colour",
                a.rsplit(' ').next().unwrap_or(""),
            ) || a.starts_with("default ")
        };
        let (attribute, thing) =
            subject.split_once(" of ").or_else(|| subject.split_once(" for ").filter(|(a, _)| measure(a)))?;
        if listed(VAGUE, attribute.rsplit(' ').next().unwrap_or("")) {
            return None;
        }
        let short = attribute.split(' ').count() <= 4 && thing.split(' ').count() <= 4;
        let depends = thing.split(' ').any(|w| listed("this that these those it all both each", w));
        (short && !depends && matches!(self.words[0], "is" | "are" | "was")).then_some((attribute, thing))
    }

    fn copula(&self) -> bool {
        matches!(self.words[0], "is" | "are" | "was" | "were")
    }

    /// A fact of being: `The A of S is X`, or `S is X`.
    fn being(&self, answer: &str, kind: FactKind) -> Candidate {
        match self.split_subject() {
            Some((attribute, thing)) if self.lead.is_empty() && self.vocabulary.is_thing(thing) => {
                Candidate::new("attribute", thing, attribute, answer, kind)
            }
            _ => Candidate::new("verb", self.subject, &self.attribute(&[], &[]), answer, kind),
        }
    }

    /// `has a mass of 5 kg`, `has the number RL-20617`, `has a green cover`, `has four showers`.
    fn having(&self, rest: &[&str], whole: bool) -> Vec<Candidate> {
        let article = listed("a an the", rest[0]);
        if article && let Some(of) = (2..rest.len().min(5)).find(|i| rest[*i] == "of") {
            let attribute = rest[1..of].join(" ");
            let value = &rest[of + 1..];
            if let Some(found) = quantity(value).filter(|q| q.length == value.len()) {
                let answer = value[..found.length].join(" ");
                return vec![Candidate::new("attribute", self.subject, &attribute, &answer, FactKind::Number)];
            }
            return Vec::new();
        }
        if article && rest.len() >= 3 && listed(COLOURS, rest[1]) && rest.len() <= 4 && whole {
            let thing = rest[2..].join(" ");
            if rest[2..].iter().all(|w| w.chars().all(char::is_lowercase)) {
                let subject = format!("the {thing} of {}", self.subject);
                return vec![Candidate::new("attribute", &subject, "colour", rest[1], FactKind::Other)];
            }
        }
        if rest[0] == "the" && whole && self.verb.1 == "have" && (3..=7).contains(&rest.len()) {
            let at = (2..rest.len()).find(|i| is_name(rest[*i]) || rest[*i].starts_with(['"', '“']));
            if let Some(at) =
                at.filter(|at| *at <= 4 && rest[1..*at].iter().all(|w| w.chars().all(|c| c.is_lowercase() || c == '-')))
                && !listed(verb::PREPOSITIONS, rest[at - 1])
                && rest[at - 1] != "as"
            {
                let answer = rest[at..].join(" ");
                let answer = answer.trim_matches(['"', '“', '”']);
                return vec![Candidate::new("attribute", self.subject, &rest[1..at].join(" "), answer, kind(answer))];
            }
        }
        Vec::new()
    }

    /// Numbers with units, and counted things.
    fn measured(&self, rest: &[&str]) -> Option<Candidate> {
        let (at, found) = (0..rest.len().min(6)).find_map(|at| Some((at, quantity(&rest[at..])?)))?;
        let (link, tail) = (&rest[..at], &rest[at + found.length..]);
        if !self.links(link)
            || moment(&rest[at..])
                .is_some_and(|(_, length)| length > found.length || found.measures.is_none() && at > 0)
        {
            return None;
        }
        let answer = rest[at..at + found.length].join(" ");
        let first = tail.first().copied().unwrap_or("");
        // A range, a list or a sum is more than the one number.
        if listed("to and or plus minus by times × × - –", first) || tail.len() > 6 || !plain(tail) {
            return None;
        }
        match found.measures {
            Some(_) if self.copula() && link.is_empty() && tail.is_empty() => {
                Some(self.being(&answer, FactKind::Number))
            }
            Some(measures) => {
                let dimension = listed(DIMENSIONS, first) && (self.copula() || first == "across");
                let follows = first.is_empty()
                    || dimension
                    || listed(
                        "of a an each every per before after at in on above below from north south east west behind beyond beside for off away under",
                        first,
                    );
                let length = listed("above below from north south east west behind beyond away off", first);
                (follows && (!length || measures == "distance")).then(|| {
                    Candidate::new("verb", self.subject, &self.attribute(link, tail), &answer, FactKind::Number)
                })
            }
            // `The highwater mark is 0`: of which? A bare number needs a name beside it.
            None if tail.is_empty() && self.copula() && link.is_empty() => {
                self.subject.split(' ').any(is_name).then(|| self.being(&answer, FactKind::Number))
            }
            None if tail.is_empty() && !link.is_empty() => {
                Some(Candidate::new("verb", self.subject, &self.attribute(link, tail), &answer, FactKind::Number))
            }
            None => {
                let ends = |w: &&&str| !listed(verb::PREPOSITIONS, w) && !listed("a an each every per", w);
                let noun = tail.iter().take_while(ends).count();
                let counted_being =
                    self.copula() && link.iter().all(|w| listed(verb::ADVERBS, w)) && noun == tail.len();
                if counted_being && noun == 1 && (tail[0].ends_with('s') || tail[0] == "people") {
                    return Some(self.being(&format!("{answer} {}", tail[0]), FactKind::Number));
                }
                let counted = (1..=3).contains(&noun)
                    && tail[..noun].iter().all(|w| w.chars().all(|c| c.is_lowercase() || c == '-'))
                    && tail[noun - 1].ends_with('s') | listed("people members", tail[noun - 1]);
                let verb = !self.copula() || !link.is_empty();
                (counted && verb).then(|| {
                    Candidate::new("count", self.subject, &self.attribute(link, tail), &answer, FactKind::Number)
                })
            }
        }
    }

    /// Dates, times of day and rhythms.
    fn timed(&self, rest: &[&str]) -> Option<Candidate> {
        for at in 0..rest.len().min(8) {
            let (link, from) = (&rest[..at], &rest[at..]);
            let fact = |link: &[&str], answer: &[&str]| {
                Some(Candidate::new(
                    "verb",
                    self.subject,
                    &self.attribute(link, &[]),
                    &answer.join(" "),
                    FactKind::Date,
                ))
            };
            if let Some(length) = rhythm(from) {
                let active = !self.copula() || !link.is_empty();
                return if from.len() == length && active && plain(link) && link.last() != Some(&"of") {
                    fact(link, from)
                } else {
                    None
                };
            }
            let Some((_, length)) = moment(from) else { continue };
            let begins = |w: &&str| {
                is_participle(w)
                    || listed(verb::PREPOSITIONS, w)
                    || listed(verb::ADVERBS, w)
                    || listed("open closed due last", w)
            };
            if self.copula() && !link.first().is_none_or(begins) {
                return None;
            }
            let (answer, tail) = from.split_at(length);
            if self.copula() && link.first().is_some_and(|w| listed("a an the", w)) {
                return None;
            }
            let last = link.last().copied().unwrap_or("");
            // `from 22:00 to 06:30` is one answer.
            if last == "from" && tail.first().is_some_and(|w| listed("to until", w)) {
                let until = moment(&tail[1..]).filter(|(_, until)| tail.len() == 1 + until)?;
                let whole = &rest[at - 1..at + length + 1 + until.1];
                return plain(&link[..at - 1]).then(|| fact(&link[..at - 1], whole)).flatten().map(|mut found| {
                    found.aliases.push(found.answer.trim_start_matches("from ").to_string());
                    found
                });
            }
            if !tail.is_empty() && !listed("as by with", tail[0])
                || !plain(link)
                || link.iter().any(|w| quantity(&[*w]).is_some())
            {
                return None;
            }
            if link.is_empty() {
                return if self.copula() { Some(self.being(&answer.join(" "), FactKind::Date)) } else { None };
            }
            return if listed("at on in since until by from after before", last) { fact(link, answer) } else { None };
        }
        None
    }

    /// `is green`, `is dyed pink`, `are painted white`.
    fn coloured(&self, rest: &[&str]) -> Option<Candidate> {
        let painted = usize::from(listed("dyed painted coloured", rest[0]));
        let shade = usize::from(rest.get(painted).is_some_and(|w| listed("dark light pale bright", w)));
        let colour = *rest.get(painted + shade)?;
        (self.copula() && listed(COLOURS, colour) && rest.len() == painted + shade + 1).then(|| {
            let answer = rest[painted..].join(" ");
            Candidate::new("attribute", self.subject, "colour", &answer, FactKind::Other)
        })
    }

    /// `stands beside the Spindle`, `is kept in the tall cupboard`.
    fn placed(&self, rest: &[&str]) -> Option<Candidate> {
        let standing = listed(STANDING, &self.verb.1);
        let kept = self.copula() && listed(KEPT, rest[0]);
        let bare = self.copula() && listed("beside behind above below opposite between under near", rest[0]);
        let link = &rest[..usize::from(kept)];
        let place = &rest[link.len()..];
        let preposition = *place.first()?;
        if !(standing || kept || bare)
            || !listed(PLACES, preposition)
            || !(2..=7).contains(&place.len())
            || !plain(place)
        {
            return None;
        }
        let noun = &place[1..];
        if noun.last().is_some_and(|w| is_participle(w))
            || quantity(noun).is_some()
            || noun.iter().any(|w| listed("called named fixed various", w))
        {
            return None;
        }
        let solid = listed("the a an", noun[0]) || noun[0].starts_with(char::is_uppercase) || noun.len() >= 2;
        if !solid
            || noun.iter().any(|w| w.ends_with("ing") || listed("and or that which it them", w))
                && preposition != "between"
        {
            return None;
        }
        let whole = place.join(" ");
        let inner = noun.join(" ");
        let simple = listed("in on at", preposition);
        let (answer, alias) = if simple { (inner, whole) } else { (whole, inner) };
        let mut candidate = Candidate::new("verb", self.subject, &self.attribute(link, &[]), &answer, FactKind::Place);
        candidate.aliases.push(alias);
        Some(candidate)
    }

    /// `The director of the institute is Constance Everwin`, `The oldest programme is the Heron Census`.
    fn named(&self, rest: &[&str]) -> Option<Candidate> {
        if !self.copula() || rest.len() > 5 {
            return None;
        }
        // A telephone number or the like: groups of digits.
        if rest.len() >= 2 && rest.iter().all(|w| w.trim_start_matches('+').chars().all(|c| c.is_ascii_digit())) {
            return Some(self.being(&rest.join(" "), FactKind::Code));
        }
        // `is a Marlowe 400`.
        let rest = if rest.len() >= 3 && listed("a an", rest[0]) { &rest[1..] } else { rest };
        let answer = rest.join(" ");
        let bare = answer.trim_matches(['"', '“', '”']);
        let names = rest.iter().filter(|w| !listed("the of and", w)).collect::<Vec<_>>();
        if names.is_empty()
            || !names.iter().all(|w| is_name(w) || w.starts_with(['"', '“']))
            || rest.iter().any(|w| w.ends_with(','))
        {
            return None;
        }
        // `Clement is Swedish` is no name: one word needs an identifier's or a name's look.
        if is_person(self.subject)
            || quantity(rest).is_some()
            || !self.subject.starts_with("the ") && self.subject.split(' ').count() < 2
        {
            return None;
        }
        if is_person(bare) && self.lead.is_empty() && self.words[0] == "is" {
            return Some(Candidate::new("who-is", self.subject, "is …", bare, FactKind::Name));
        }
        Some(self.being(bare, kind(bare)))
    }

    /// `is made of bronze`, `burns wood pellets`, `The rock of the island is basalt`.
    fn things(&self, rest: &[&str]) -> Option<Candidate> {
        // A single word may as well be an adjective; those are told by their ends.
        let adjective = rest.len() == 1 && ADJECTIVE_ENDS.iter().any(|end| rest[0].ends_with(end));
        let inner = self.split_subject().filter(|(_, thing)| self.vocabulary.is_thing(thing));
        if self.copula()
            && inner.is_some()
            && rest.len() <= 4
            && noun_phrase(rest)
            && !listed("a an", rest[0])
            && !adjective
        {
            return Some(self.being(&rest.join(" "), kind(&rest.join(" "))));
        }
        let (link, object) = if self.copula() {
            (&rest[..rest.len().min(2)], rest.get(2..)?)
        } else if listed(PHRASES, &format!("{}-{}", self.verb.1, rest[0])) {
            (&rest[..1], &rest[1..])
        } else if listed(TRANSITIVE, &self.verb.1) {
            (&rest[..0], rest)
        } else {
            return None;
        };
        if self.copula() && !listed(PHRASES, &link.join("-")) {
            return None;
        }
        // `returns SQLITE_OK on success`: the code is the answer, the rest its condition.
        let code =
            |w: &str| w.contains('_') || w.ends_with("()") || w.len() > 2 && w.chars().all(|c| c.is_ascii_uppercase());
        if object.len() >= 3 && code(object[0]) && listed("on upon for in after", object[1]) && plain(&object[1..]) {
            let attribute = self.attribute(link, &object[1..]);
            return Some(Candidate::new("verb", self.subject, &attribute, object[0], FactKind::Code));
        }
        if !(1..=5).contains(&object.len()) || !noun_phrase(object) {
            return None;
        }
        let answer = object.join(" ");
        let telling =
            object.iter().filter(|w| !listed(GENERIC, w) && !listed("the a an of in on and for to", w)).count();
        let vague =
            listed("many several some various different most much few lots certain information other", object[0])
                || object.contains(&"lot");
        if telling == 0 || vague || kind(&answer) == FactKind::Other && listed("a an", object[0]) && telling < 2 {
            return None;
        }
        Some(Candidate::new("verb", self.subject, &self.attribute(link, &[]), &answer, kind(&answer)))
    }

    /// Whether words between verb and answer are all understood: participles, prepositions, and
    /// `at a depth of`.
    fn links(&self, link: &[&str]) -> bool {
        let modal = matches!(self.words[0], "can" | "may" | "must" | "should" | "will");
        let mut words = link;
        if let [start @ .., article, noun, "of"] = link
            && listed("a an the", article)
            && start.last().is_some_and(|w| listed("at with within in to from", w))
            && noun.chars().all(char::is_lowercase)
        {
            words = start;
        }
        let hedged =
            link.last().is_some_and(|w| listed("around over than about near between", w)) || link.contains(&"up");
        !hedged
            && words.iter().enumerate().all(|(i, w)| {
                is_participle(w)
                    || listed(verb::PREPOSITIONS, w)
                    || listed(verb::ADVERBS, w)
                    || modal && i == 0 && (*w == "be" || form(w).is_some_and(|(f, _)| f == Form::Plural))
            })
    }
}
