use std::collections::{BTreeMap, BTreeSet, HashMap};

use record::Response;
use serde::{Deserialize, Serialize};

use crate::statistics::{Estimate, McNemar, clustered_mean, mcnemar};
use crate::tally::{contained, tally};
use crate::{Error, Result, Tally};

/// The items of one document or of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The document's id, or the kind's name.
    pub name: String,
    /// First sitting.
    pub before: Tally,
    /// Second sitting.
    pub after: Tally,
    /// Paired difference; absent below two facts.
    pub difference: Option<Estimate>,
}

/// Two sittings of one bank, paired by item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// First sitting.
    pub before: Tally,
    /// Second sitting.
    pub after: Tally,
    /// Score after less score before, in shares of 1 (0.5 = 50 points), clustered by fact.
    pub difference: Estimate,
    /// The same of the secondary mark.
    pub secondary: Estimate,
    /// The same of whether the answer was held somewhere in what was said ([`Tally::contained`]): how
    /// much of the difference remains when form does not count.
    pub contained: Estimate,
    /// Whether all items have choices, so that `secondary` is the other likelihood mark.
    pub choices: bool,
    /// Items that changed between right and wrong.
    pub changed: McNemar,
    /// By document, in the order of their names.
    pub by_document: Vec<Group>,
    /// By kind of answer.
    pub by_kind: Vec<Group>,
}

/// What a comparison says about a bar that was set beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The lower 95 % limit of the difference reaches the bar.
    Confirmed,
    /// The upper 95 % limit stays below the bar.
    Refuted,
    /// Neither.
    Undecided,
}

impl Comparison {
    /// Whether the difference reaches `bar`, a share of 1. A bar of −0.04 asks whether less than 4
    /// points were lost.
    ///
    /// Of items with choices both likelihood marks must reach it: a small model's raw mark may stand
    /// at chance from the start, and what stands at chance has nothing to lose.
    pub fn verdict(&self, bar: f64) -> Verdict {
        let marks = if self.choices { vec![&self.difference, &self.secondary] } else { vec![&self.difference] };
        if marks.iter().all(|mark| mark.low >= bar) {
            Verdict::Confirmed
        } else if marks.iter().any(|mark| mark.high < bar) {
            Verdict::Refuted
        } else {
            Verdict::Undecided
        }
    }

    /// The comparison in a sentence, with standard error, interval and denominator.
    pub fn sentence(&self) -> String {
        let Estimate { mean, standard_error, low, high, n, clusters, detectable } = self.difference;
        let McNemar { gained, lost, mid, .. } = self.changed;
        let [mean, standard_error, low, high, detectable] =
            [mean, standard_error, low, high, detectable].map(|share| 100.0 * share);
        format!(
            "{mean:+.1} points (95 % interval {low:+.1} to {high:+.1}, standard error {standard_error:.1}, {n} questions \
             about {clusters} facts); {gained} gained, {lost} lost, p = {mid:.3}; a change of {detectable:.1} points \
             would have been seen"
        )
    }
}

/// Pairs two sittings by item and compares them. Both must cover the same items, asked in the same
/// words, each once; model and mode may differ.
pub fn compare(before: &[Response], after: &[Response]) -> Result<Comparison> {
    let pairs = pair(before, after)?;
    let facts = |pairs: &[Pair]| pairs.iter().map(|(b, _)| b.fact.as_str()).collect::<BTreeSet<_>>().len();
    let too_few = || Error::TooFew { clusters: facts(&pairs) };
    let difference = difference(&pairs, |r| r.score).ok_or_else(too_few)?;
    let secondary = self::difference(&pairs, |r| r.secondary).ok_or_else(too_few)?;
    let contained = self::difference(&pairs, contained).ok_or_else(too_few)?;
    let is_right = |r: &Response| r.score >= 0.5;
    let gained = pairs.iter().filter(|(b, a)| !is_right(b) && is_right(a)).count();
    let lost = pairs.iter().filter(|(b, a)| is_right(b) && !is_right(a)).count();
    Ok(Comparison {
        before: tally(pairs.iter().map(|pair| pair.0)),
        after: tally(pairs.iter().map(|pair| pair.1)),
        difference,
        secondary,
        contained,
        choices: before.iter().all(|response| !response.choice_logprobs.is_empty() || response.failed.is_some())
            && before.iter().any(|response| !response.choice_logprobs.is_empty()),
        changed: mcnemar(gained, lost),
        by_document: groups(&pairs, |r| r.document.clone()),
        by_kind: groups(&pairs, |r| format!("{:?}", r.kind).to_lowercase()),
    })
}

type Pair<'a> = (&'a Response, &'a Response);

fn pair<'a>(before: &'a [Response], after: &'a [Response]) -> Result<Vec<Pair<'a>>> {
    let differs = |problem: String| Err(Error::Differs { problem });
    let mut second: HashMap<&str, &Response> = HashMap::new();
    for response in after {
        if second.insert(&response.item, response).is_some() {
            return differs(format!("item {:?} was answered twice by {:?}", response.item, response.model));
        }
    }
    let mut pairs = Vec::with_capacity(before.len());
    for first in before {
        let Some(second) = second.remove(first.item.as_str()) else {
            return differs(format!(
                "item {:?} is missing from {:?}, or was answered twice before",
                first.item,
                label(after)
            ));
        };
        for (field, one, two) in [
            ("question", &first.question, &second.question),
            ("expected", &first.expected, &second.expected),
            ("fact", &first.fact, &second.fact),
            ("document", &first.document, &second.document),
        ] {
            if one != two {
                return differs(format!("item {:?} has another `{field}` in the second sitting", first.item));
            }
        }
        pairs.push((first, second));
    }
    // The smallest id, so that the message does not depend on the map's order.
    if let Some(left) = second.keys().min() {
        return differs(format!("item {left:?} is missing from {:?}", label(before)));
    }
    Ok(pairs)
}

fn label(responses: &[Response]) -> &str {
    responses.first().map_or("", |response| response.model.as_str())
}

fn difference(pairs: &[Pair], mark: impl Fn(&Response) -> f64) -> Option<Estimate> {
    clustered_mean(pairs.iter().map(|(before, after)| (before.fact.as_str(), mark(after) - mark(before))))
}

fn groups(pairs: &[Pair], key: impl Fn(&Response) -> String) -> Vec<Group> {
    let mut members: BTreeMap<String, Vec<Pair>> = BTreeMap::new();
    for pair in pairs {
        members.entry(key(pair.0)).or_default().push(*pair);
    }
    let group = |(name, pairs): (String, Vec<Pair>)| Group {
        name,
        before: tally(pairs.iter().map(|pair| pair.0)),
        after: tally(pairs.iter().map(|pair| pair.1)),
        difference: difference(&pairs, |r| r.score),
    };
    members.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{FactKind, Mode, Usage};

    fn response(item: usize, fact: usize, score: f64) -> Response {
        Response {
            item: format!("i{item}"),
            fact: format!("f{fact}"),
            document: format!("d{}", fact % 3),
            kind: if fact.is_multiple_of(2) { FactKind::Number } else { FactKind::Name },
            model: "m".into(),
            mode: Mode::Closed,
            question: format!("q{item}"),
            expected: "x".into(),
            text: String::new(),
            score,
            secondary: score,
            choice_logprobs: Vec::new(),
            abstained: false,
            failed: None,
            usage: Usage::default(),
        }
    }

    /// 40 items about 20 facts; before every tenth is right, after all but every eighth.
    fn sittings() -> (Vec<Response>, Vec<Response>) {
        let before = (0..40).map(|i| response(i, i / 2, f64::from(u8::from(i % 10 == 0)))).collect();
        let after = (0..40).map(|i| response(i, i / 2, f64::from(u8::from(i % 8 != 0)))).collect();
        (before, after)
    }

    #[test]
    fn numbers_add_up_and_pairing_ignores_order() {
        let (before, mut after) = sittings();
        after.reverse();
        let comparison = compare(&before, &after).expect("compare");
        assert_eq!((comparison.before.right, comparison.after.right, comparison.after.n), (4, 35, 40));
        assert!((comparison.difference.mean - 31.0 / 40.0).abs() < 1e-12);
        assert_eq!(comparison.difference.clusters, 20);
        // Item 0 is right before and wrong after; 10, 20 and 30 are right both times.
        assert_eq!((comparison.changed.gained, comparison.changed.lost), (32, 1));
        for groups in [&comparison.by_document, &comparison.by_kind] {
            assert_eq!(groups.iter().map(|g| g.before.n).sum::<usize>(), 40);
            assert_eq!(groups.iter().map(|g| g.after.right).sum::<usize>(), 35);
        }
        let json = serde_json::to_string(&comparison).expect("encode");
        assert_eq!(serde_json::from_str::<Comparison>(&json).expect("decode"), comparison);
    }

    #[test]
    fn verdicts_go_by_the_limits() {
        let (before, after) = sittings();
        let comparison = compare(&before, &after).expect("compare");
        assert_eq!(comparison.verdict(0.5), Verdict::Confirmed);
        assert_eq!(comparison.verdict(comparison.difference.mean), Verdict::Undecided);
        assert_eq!(comparison.verdict(0.99), Verdict::Refuted);
        assert_eq!(compare(&before, &before).expect("compare").verdict(-0.04), Verdict::Undecided);
    }

    #[test]
    fn of_choices_both_marks_must_reach_the_bar() {
        // Raw stands at chance both times; the length-normalised mark falls from 20 to 0 of 40.
        let sitting = |normalised: fn(usize) -> f64| -> Vec<Response> {
            let mut all: Vec<_> = (0..40).map(|i| response(i, i, f64::from(u8::from(i % 4 == 0)))).collect();
            for (i, response) in all.iter_mut().enumerate() {
                response.secondary = normalised(i);
                response.choice_logprobs = vec![-1.0, -2.0];
            }
            all
        };
        let comparison = compare(&sitting(|i| (i % 2) as f64), &sitting(|_| 0.0)).expect("compare");
        assert!(comparison.choices && comparison.difference.mean == 0.0);
        assert_eq!(comparison.verdict(-0.1), Verdict::Refuted);
    }

    #[test]
    fn a_right_answer_in_a_sentence_counts_as_contained() {
        let (before, mut after) = sittings();
        after.iter_mut().filter(|r| r.score < 0.5).for_each(|r| r.text = "It is X, I think.".into());
        let comparison = compare(&before, &after).expect("compare");
        assert_eq!((comparison.after.right, comparison.after.contained, comparison.before.contained), (35, 1.0, 0.1));
        assert!((comparison.contained.mean - 0.9).abs() < 1e-12);
    }

    #[test]
    fn failures_and_abstentions_stay_in_the_denominator() {
        let (mut before, after) = sittings();
        before[1].failed = Some("down".into());
        before[2].abstained = true;
        let tally = compare(&before, &after).expect("compare").before;
        assert_eq!((tally.n, tally.facts, tally.failed, tally.abstained), (40, 20, 1, 1));
        let sentence = tally.sentence("base");
        assert!(sentence.contains("4 of 40 questions about 20 facts") && sentence.contains("1 failed"), "{sentence}");
        let sentence = compare(&before, &after).expect("compare").sentence();
        assert!(sentence.starts_with("+77.5 points") && sentence.contains("32 gained, 1 lost"), "{sentence}");
    }

    #[test]
    fn banks_that_differ_are_refused() {
        let (before, after) = sittings();
        let message = |after: &[Response]| compare(&before, after).expect_err("refused").to_string();
        assert!(message(&after[1..]).contains("\"i0\""));
        let more: Vec<_> = after.iter().cloned().chain([response(99, 3, 1.0)]).collect();
        assert!(message(&more).contains("\"i99\""));
        let twice: Vec<_> = after.iter().cloned().chain([after[5].clone()]).collect();
        assert!(message(&twice).contains("twice"));
        let mut reworded = after.clone();
        reworded[7].question = "other".into();
        assert!(message(&reworded).contains("`question`"));
        let one: Vec<_> = before.iter().filter(|r| r.fact == "f1").cloned().collect();
        assert!(matches!(compare(&one, &one), Err(Error::TooFew { clusters: 1 })));
    }
}
