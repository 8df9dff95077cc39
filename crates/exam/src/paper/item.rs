use serde::{Deserialize, Serialize};

use super::letters::{MOST, named};
use super::{Blank, Essay, Multiple, Open, Single};

/// A question of a paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Unique in the paper.
    pub id: String,
    /// The question, without its options.
    pub question: String,
    /// The most that it gives.
    pub points: f64,
    /// Elective items that share a group: the total counts the best one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it shares with other items (a passage): the cluster of standard errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Subject, where the paper has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Difficulty as its authors see it, on their scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<f64>,
    /// How it is answered and marked.
    #[serde(flatten)]
    pub kind: Kind,
}

/// How an item is answered and marked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// One option is right.
    Single(Single),
    /// Several options are right.
    Multiple(Multiple),
    /// A blank to fill in.
    Blank(Blank),
    /// Steps with points.
    Open(Open),
    /// A text with a rubric.
    Essay(Essay),
}

/// What a grader gives points for.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Name or what must be shown.
    pub name: String,
    /// The most that it gives.
    pub most: f64,
    /// What deserves how much, where the paper says it: (points, description).
    pub levels: Vec<(f64, String)>,
}

impl Kind {
    /// Its name, as files write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Single(_) => "single",
            Self::Multiple(_) => "multiple",
            Self::Blank(_) => "blank",
            Self::Open(_) => "open",
            Self::Essay(_) => "essay",
        }
    }

    /// The options of a choice item.
    pub fn options(&self) -> &[String] {
        match self {
            Self::Single(single) => &single.options,
            Self::Multiple(multiple) => &multiple.options,
            _ => &[],
        }
    }

    /// Whether a rule alone decides: the letters of a choice item are right or not.
    pub fn is_choice(&self) -> bool {
        !self.options().is_empty()
    }
}

impl Item {
    /// What graders give points for: the steps, the criteria, or the answer as a whole.
    pub fn parts(&self) -> Vec<Part> {
        match &self.kind {
            Kind::Open(open) => {
                open.steps.iter().map(|s| Part { name: s.text.clone(), most: s.points, levels: Vec::new() }).collect()
            }
            Kind::Essay(essay) => {
                let levels = |c: &super::Criterion| c.levels.iter().map(|l| (l.points, l.text.clone())).collect();
                essay
                    .criteria
                    .iter()
                    .map(|c| Part { name: c.name.clone(), most: c.points, levels: levels(c) })
                    .collect()
            }
            _ => vec![Part { name: "answer".into(), most: self.points, levels: Vec::new() }],
        }
    }

    /// The right answer in words, for graders; empty for an essay.
    pub fn solution(&self) -> String {
        match &self.kind {
            Kind::Single(single) => single.answer.clone(),
            Kind::Multiple(multiple) => named(&multiple.right().unwrap_or_default()),
            Kind::Blank(blank) => blank.answers.join(" or "),
            Kind::Open(open) => open.solution.clone(),
            Kind::Essay(_) => String::new(),
        }
    }

    /// Score of a blind guess as a share of the points: 1/n for one of n options; for several, the mean
    /// over all non-empty sets of options. None where nothing can be guessed.
    pub fn chance(&self) -> Option<f64> {
        match &self.kind {
            Kind::Single(single) => Some(1.0 / single.options.len() as f64),
            Kind::Multiple(multiple) => {
                let (n, right) = (multiple.options.len(), multiple.right()?.len());
                let sets = (1_u64 << n) - 1;
                // Of the sets without a wrong option only these score: their mean share is ½ · 2^right / sets.
                let all = (1_u64 << right) as f64 / 2.0;
                Some(if multiple.credit == super::Credit::Share { all } else { 1.0 } / sets as f64)
            }
            _ => None,
        }
    }

    /// The first thing that is wrong with it: field and problem.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        let empty = |field, text: &str| text.trim().is_empty().then(|| (field, "is empty".to_string()));
        if let Some(fault) = empty("id", &self.id).or_else(|| empty("question", &self.question)) {
            return Some(fault);
        }
        if !(self.points.is_finite() && self.points > 0.0) {
            return Some(("points", format!("is {}, but must be above 0", self.points)));
        }
        if let Some(fault) = self.group.as_deref().and_then(|group| empty("group", group)) {
            return Some(fault);
        }
        match &self.kind {
            Kind::Single(single) => options(&single.options).or_else(|| {
                let most = named(&[single.options.len() - 1]);
                single
                    .right()
                    .is_none()
                    .then(|| ("answer", format!("is {:?}, but must be a letter from A to {most}", single.answer)))
            }),
            Kind::Multiple(multiple) => options(&multiple.options).or_else(|| {
                let most = named(&[multiple.options.len() - 1]);
                let Some(right) = multiple.right() else {
                    return Some((
                        "answers",
                        format!("are {:?}, but must be letters from A to {most}", multiple.answers),
                    ));
                };
                let twice = right.windows(2).any(|pair| pair[0] == pair[1]);
                (right.is_empty() || twice).then(|| ("answers", "must be one letter or more, each once".into()))
            }),
            Kind::Blank(blank) => blank_fault(blank),
            Kind::Open(open) => {
                let named = open.steps.iter().find_map(|step| empty("steps", &step.text));
                named.or_else(|| sum("steps", open.steps.iter().map(|step| step.points), self.points))
            }
            Kind::Essay(essay) => essay
                .criteria
                .iter()
                .find_map(criterion)
                .or_else(|| sum("criteria", essay.criteria.iter().map(|c| c.points), self.points)),
        }
    }
}

fn options(options: &[String]) -> Option<(&'static str, String)> {
    if !(2..=MOST).contains(&options.len()) {
        return Some(("options", format!("are {}, but must be 2 to {MOST}", options.len())));
    }
    let twice = |(at, option): (usize, &String)| options[..at].contains(option) || option.trim().is_empty();
    let bad = options.iter().enumerate().find(|(at, option)| twice((*at, option)))?;
    Some(("options", format!("hold {:?}, which is empty or stands there twice", bad.1)))
}

fn blank_fault(blank: &Blank) -> Option<(&'static str, String)> {
    if blank.answers.is_empty() || blank.answers.iter().any(|answer| answer.trim().is_empty()) {
        return Some(("answers", "must hold one answer or more, none of them empty".into()));
    }
    for (field, value) in [("tolerance", blank.tolerance), ("relative", blank.relative)] {
        if let Some(value) = value.filter(|value| !(value.is_finite() && *value >= 0.0)) {
            return Some((field, format!("is {value}, but must be 0 or more")));
        }
    }
    // An accepted answer that is no number would accept nothing.
    let bad = blank.answers.iter().find(|answer| blank.is_number() && !super::blank::says_number(answer))?;
    Some(("answers", format!("hold {bad:?}, which is no number; tolerance and units need numbers")))
}

fn criterion(criterion: &super::Criterion) -> Option<(&'static str, String)> {
    if criterion.name.trim().is_empty() {
        return Some(("criteria", "hold one without a name".into()));
    }
    let levels = &criterion.levels;
    let inside = levels.iter().all(|level| (0.0..=criterion.points).contains(&level.points));
    let rising = levels.windows(2).all(|pair| pair[0].points < pair[1].points);
    (!inside || !rising).then(|| {
        ("levels", format!("of {:?} must rise and lie between 0 and its {} points", criterion.name, criterion.points))
    })
}

fn sum(field: &'static str, points: impl Iterator<Item = f64>, wanted: f64) -> Option<(&'static str, String)> {
    let points: Vec<f64> = points.collect();
    if let Some(bad) = points.iter().find(|points| !(points.is_finite() && **points > 0.0)) {
        return Some((field, format!("hold {bad} points, but must be above 0")));
    }
    let total: f64 = points.iter().sum();
    ((total - wanted).abs() > 1e-9)
        .then(|| (field, format!("give {total} points together, but the item gives {wanted}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::Credit;

    #[test]
    fn chance_is_that_of_a_blind_guess() {
        let item = |kind| Item {
            id: "1".into(),
            question: "?".into(),
            points: 6.0,
            group: None,
            cluster: None,
            subject: None,
            difficulty: None,
            kind,
        };
        let options: Vec<String> = (0..4).map(|i| i.to_string()).collect();
        assert_eq!(item(Kind::Single(Single { options: options.clone(), answer: "A".into() })).chance(), Some(0.25));
        // By hand, A and C right: of 15 sets A gives ½, C ½ and AC 1.
        let mut multiple = Multiple { options, answers: vec!["A".into(), "C".into()], credit: Credit::Share };
        let chance = item(Kind::Multiple(multiple.clone())).chance().expect("a choice");
        assert!((chance - 2.0 / 15.0).abs() < 1e-12, "{chance}");
        multiple.credit = Credit::AllOrNothing;
        let chance = item(Kind::Multiple(multiple)).chance().expect("a choice");
        assert!((chance - 1.0 / 15.0).abs() < 1e-12, "{chance}");
    }
}
