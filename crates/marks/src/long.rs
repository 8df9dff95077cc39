use std::borrow::Cow;

use crate::Result;
use crate::column::{Column, Score, Value, is_date};
use crate::intake::{Entry, Intake};
use crate::table::Row;

/// Enters a row of a table in the long form: one score a row.
pub(crate) fn enter<'v>(intake: &mut Intake, line: u64, value: impl Fn(Column) -> Value<'v>) -> Result<()> {
    let here = Some(line);
    let text = |column: Column| value(column).text();
    let Some(person) = text(Column::Person) else {
        return intake.refuse(here, "no-person", || "names no person".into());
    };
    let Some(id) = text(Column::Item) else {
        return intake.refuse(here, "no-item", || "names no item".into());
    };
    let score = match Score::from(&value(Column::Score)) {
        Score::Number(score) => score,
        Score::Missing => {
            intake.remark(here, "no-score", || format!("person {person:?} has no score for item {id:?}"));
            return Ok(());
        }
        Score::Wrong => {
            return intake.refuse(here, "not-a-score", || match value(Column::Score) {
                Value::Text(text) => format!("{text:?} is no score"),
                other => format!("{other:?} is no score"),
            });
        }
    };
    // NaN where there is something that is no number.
    let number = |column: Column| match Score::from(&value(column)) {
        Score::Number(number) => Some(number),
        Score::Missing => None,
        Score::Wrong => Some(f64::NAN),
    };
    let attempt = number(Column::Attempt).unwrap_or(0.0);
    if attempt.fract() != 0.0 || !(0.0..f64::from(u16::MAX)).contains(&attempt) {
        let most = u16::MAX - 1;
        return intake.refuse(here, "bad-attempt", || format!("an attempt is a number from 0 to {most}"));
    }
    let (max, chance, difficulty) = (number(Column::Max), number(Column::Chance), number(Column::Difficulty));
    if chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
        return intake.refuse(here, "bad-chance", || "the chance of a blind guess is a share from 0 to 1".into());
    }
    let person = intake.person(&person)?;
    let subject = text(Column::Subject);
    let item = item(intake, &id, subject.as_deref(), line)?;
    let grader = match text(Column::Grader) {
        Some(grader) => intake.marks.grader(&grader)?,
        None => Row::NOBODY,
    };
    let known = intake.marks.item_mut(item);
    let mut agree = fill(&mut known.kind, text(Column::Kind)) & fill(&mut known.cluster, text(Column::Cluster));
    agree &= fill(&mut known.text, text(Column::Text));
    if let Some(chance) = chance {
        agree &= *known.chance.get_or_insert(chance) == chance;
    }
    let finite = difficulty.filter(|difficulty| difficulty.is_finite());
    if let Some(difficulty) = finite {
        agree &= *known.difficulty.get_or_insert(difficulty) == difficulty;
    }
    let known = intake.marks.person_mut(person);
    agree &= fill(&mut known.base, text(Column::Base)) & fill(&mut known.group, text(Column::Group));
    let date = text(Column::Date);
    let day = date.clone().filter(|date| is_date(date));
    agree &= fill(&mut known.date, day.clone());
    if day != date {
        intake.remark(here, "bad-date", || "has a date that is no YYYY-MM-DD, and is left out".into());
    }
    if finite != difficulty {
        intake.remark(here, "bad-difficulty", || "has a difficulty that is no number, and is left out".into());
    }
    if !agree {
        let detail = || "says something else of its person or item than an earlier row, which counts".into();
        intake.remark(here, "other-words", detail);
    }
    intake.score(Entry { person, item, grader, attempt: attempt as u16, score, max, line: here })
}

/// The item's place. Where one id stands in several subjects, the later ones are named `SUBJECT/ID`.
fn item(intake: &mut Intake, id: &str, subject: Option<&str>, line: u64) -> Result<u32> {
    let (at, new) = intake.item(id, false)?;
    let Some(subject) = subject else { return Ok(at) };
    let known = &mut intake.marks.item_mut(at).subject;
    if new || known.is_none() {
        *known = Some(subject.into());
        return Ok(at);
    }
    if known.as_deref() == Some(subject) {
        return Ok(at);
    }
    let name = format!("{subject}/{id}");
    let (at, _) = intake.item(&name, false)?;
    intake.marks.item_mut(at).subject.get_or_insert_with(|| subject.into());
    intake.remark(Some(line), "same-id", || format!("item {id:?} stands in several subjects; here it is {name:?}"));
    Ok(at)
}

/// Fills what was not known; false if something else was.
fn fill(known: &mut Option<String>, said: Option<Cow<str>>) -> bool {
    match (&known, said) {
        (_, None) => true,
        (Some(known), Some(said)) => *known == said,
        (None, Some(said)) => {
            *known = Some(said.into_owned());
            true
        }
    }
}
