//! Marks as whole scores, which models of responses ask for.

use std::collections::{BTreeMap, HashMap};

use irt::Responses;
use marks::{Cell, Marks};
use serde::{Deserialize, Serialize};

/// A score this little below a cut still reaches it: thirds are not exact.
const NEAR: f64 = 1e-6;

/// Scores with more levels than this are put into classes.
const MOST_LEVELS: usize = 10;

/// How scores become whole.
#[derive(Debug, Clone, Default)]
pub struct Whole {
    /// Every item is right (half of its marks or more) or wrong.
    pub binary: bool,
    /// Equal classes of scores that are no whole steps, such as F1; 0 or 2 for right and wrong at half.
    pub levels: usize,
    /// Whether items stay that everybody answered alike; only estimates with priors bear them.
    pub keep_alike: bool,
    /// Cuts of items that were calibrated before, by id. They stay, and so do these items whatever was
    /// scored.
    pub known: HashMap<String, Vec<f64>>,
}

/// How an item's scores became categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The item's place in the marks.
    pub item: u32,
    /// Rising scores; a score's category is the number of cuts that it reaches.
    pub cuts: Vec<f64>,
    /// What happened to the scores.
    pub how: How,
}

/// What happened to an item's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Two levels, right and wrong.
    AsTheyAre,
    /// Several levels, each a category.
    Steps,
    /// Several levels of which some were never scored; those are joined with the one below.
    Joined,
    /// Cut into right and wrong at half of the marks, or into equal classes.
    Cut,
    /// Cuts of an earlier calibration.
    Known,
}

/// A person or an item that nothing can be estimated of, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aside {
    /// `person` or `item`.
    pub what: String,
    /// Its name.
    pub name: String,
    /// The reason, in words.
    pub why: String,
    /// Its responses.
    pub responses: usize,
}

/// A part of the design that nothing connects with the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedPart {
    /// Names of persons.
    pub persons: Vec<String>,
    /// Ids of items.
    pub items: Vec<String>,
    /// Responses in it.
    pub responses: usize,
}

/// Marks as responses, with what was done to them.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Whole scores of those that can be estimated.
    pub responses: Responses,
    /// Each person's place in the marks.
    pub persons: Vec<u32>,
    /// Each item's place in the marks and its cuts.
    pub items: Vec<Scale>,
    /// What was set aside.
    pub aside: Vec<Aside>,
    /// Parts of the design, the one that is kept first; several only if it falls apart.
    pub parts: Vec<NamedPart>,
}

impl Scored {
    /// Makes scores whole. Set aside, each by name, are items that everybody answered alike, everything
    /// outside the largest part of a design that falls apart (unless all items are known), and who has no
    /// response left. Scores of several graders or attempts count by their mean.
    pub fn new(marks: &Marks, whole: &Whole) -> irt::Result<Self> {
        let mut cells = marks.cells();
        let (mut aside, mut parts) = (Vec::new(), Vec::new());
        let known = |item: u32| whole.known.contains_key(&marks.items()[item as usize].id);
        let all_known = !whole.known.is_empty() && cells.iter().all(|cell| known(cell.item));
        let scales = loop {
            let before = cells.len();
            if !all_known {
                split(marks, &mut cells, &mut parts, &mut aside)?;
            }
            let mut values: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
            cells.iter().for_each(|cell| values.entry(cell.item).or_default().push(cell.score));
            let mut scales = Vec::new();
            for (item, values) in values {
                let scale = scale(marks, item, &values, whole);
                let categories = |value: &f64| category(&scale.cuts, *value);
                let first = values.first().map(categories);
                if !whole.keep_alike && !known(item) && values.iter().all(|value| Some(categories(value)) == first) {
                    aside.push(alike(marks, item, &values));
                } else {
                    scales.push(scale);
                }
            }
            cells.retain(|cell| scales.binary_search_by_key(&cell.item, |scale| scale.item).is_ok());
            if cells.len() == before {
                break scales;
            }
        };
        let mut persons: Vec<u32> = cells.iter().map(|cell| cell.person).collect();
        persons.dedup();
        for (at, person) in marks.persons().iter().enumerate() {
            if persons.binary_search(&(at as u32)).is_err()
                && !aside.iter().any(|a| a.what == "person" && a.name == person.name)
            {
                let why = "has no response to an item that can be estimated".into();
                aside.push(Aside { what: "person".into(), name: person.name.clone(), why, responses: 0 });
            }
        }
        let place = |person: u32| persons.binary_search(&person).unwrap_or(0) as u32;
        let response = |cell: &Cell| {
            let item = scales.binary_search_by_key(&cell.item, |scale| scale.item).unwrap_or(0);
            (place(cell.person), item as u32, category(&scales[item].cuts, cell.score) as u8)
        };
        let responses: Vec<(u32, u32, u8)> = cells.iter().map(response).collect();
        let responses = Responses::sparse(persons.len(), scales.len(), &responses)?;
        Ok(Self { responses, persons, items: scales, aside, parts })
    }

    /// Places of items and persons whose every response has the lowest (false) or the highest (true)
    /// category: abilities of such persons are finite by a prior or by Warm's estimate alone.
    pub fn extreme(&self) -> Vec<(usize, bool)> {
        let responses = &self.responses;
        let most = |person: usize| -> usize { responses.of(person).map(|(i, _)| self.items[i].cuts.len()).sum() };
        let extreme = |person: usize| match responses.raw(person) {
            0 => Some((person, false)),
            raw if raw == most(person) => Some((person, true)),
            _ => None,
        };
        (0..responses.persons()).filter_map(extreme).collect()
    }
}

/// Keeps the largest part of a design that falls apart, and names the others.
fn split(marks: &Marks, cells: &mut Vec<Cell>, parts: &mut Vec<NamedPart>, aside: &mut Vec<Aside>) -> irt::Result<()> {
    let met: Vec<(u32, u32, u8)> = cells.iter().map(|cell| (cell.person, cell.item, 0)).collect();
    let found = Responses::sparse(marks.persons().len(), marks.items().len(), &met)?.parts();
    if found.len() < 2 {
        return Ok(());
    }
    let person = |at: &usize| marks.persons()[*at].name.clone();
    let item = |at: &usize| marks.items()[*at].id.clone();
    let named = found.iter().map(|part| NamedPart {
        persons: part.persons.iter().map(person).collect(),
        items: part.elements[0].iter().map(item).collect(),
        responses: part.responses,
    });
    // What is kept may fall apart once more when an item has left it.
    if !parts.is_empty() {
        parts.remove(0);
    }
    parts.splice(0..0, named);
    let why = "stands in a part of the design that no common person or item connects with the largest one";
    let mut count: HashMap<(bool, u32), usize> = HashMap::new();
    for cell in cells.iter() {
        *count.entry((true, cell.person)).or_default() += 1;
        *count.entry((false, cell.item)).or_default() += 1;
    }
    let mut leave = |what: &str, name: String, key: (bool, u32)| {
        let responses = count.get(&key).copied().unwrap_or(0);
        aside.push(Aside { what: what.into(), name, why: why.into(), responses });
    };
    for part in &found[1..] {
        part.persons.iter().for_each(|at| leave("person", person(at), (true, *at as u32)));
        part.elements[0].iter().for_each(|at| leave("item", item(at), (false, *at as u32)));
    }
    let kept = &found[0].persons;
    cells.retain(|cell| kept.binary_search(&(cell.person as usize)).is_ok());
    Ok(())
}

fn alike(marks: &Marks, item: u32, values: &[f64]) -> Aside {
    let item = &marks.items()[item as usize];
    let mean = values.iter().sum::<f64>() / values.len() as f64 / item.max;
    let who = if values.len() == 1 { "its one person".to_string() } else { format!("all {} persons", values.len()) };
    let did = match mean {
        m if m >= 1.0 - NEAR => "answered it right".to_string(),
        m if m <= NEAR => "answered it wrong".to_string(),
        m => format!("scored alike on it ({:.0} % of its marks)", 100.0 * m),
    };
    let why = format!("{who} {did}: its difficulty has no finite estimate");
    Aside { what: "item".into(), name: item.id.clone(), why, responses: values.len() }
}

/// The number of cuts that a score reaches.
pub fn category(cuts: &[f64], score: f64) -> usize {
    cuts.iter().take_while(|cut| score >= **cut - NEAR).count()
}

fn scale(marks: &Marks, at: u32, values: &[f64], whole: &Whole) -> Scale {
    let item = &marks.items()[at as usize];
    if let Some(cuts) = whole.known.get(&item.id) {
        return Scale { item: at, cuts: cuts.clone(), how: How::Known };
    }
    let mut levels = values.to_vec();
    levels.sort_by(f64::total_cmp);
    levels.dedup_by(|a, b| (*a - *b).abs() < NEAR);
    let whole_in = |n: f64| levels.iter().all(|v| (v * n - (v * n).round()).abs() < 1e-4);
    // Scores that are whole, or halves to sixths of a mark: steps.
    let step = (1..=6).map(f64::from).find(|&n| whole_in(n));
    let half = || Scale { item: at, cuts: vec![0.5 * item.max], how: How::Cut };
    match step {
        Some(_) if levels.len() <= 2 => {
            // One level says nothing; two are right and wrong at the upper one, unless both lie low or high
            // and somebody asked for right and wrong.
            let cut = if levels.len() == 2 && !whole.binary { levels[1] } else { 0.5 * item.max };
            Scale { item: at, cuts: vec![cut], how: How::AsTheyAre }
        }
        _ if whole.binary => half(),
        Some(n) if levels.len() <= MOST_LEVELS => {
            let unit = levels.windows(2).map(|pair| ((pair[1] - pair[0]) * n).round() as u64).fold(0, gcd);
            let steps = ((levels[levels.len() - 1] - levels[0]) * n).round() as u64 / unit.max(1);
            let how = if steps as usize + 1 == levels.len() { How::Steps } else { How::Joined };
            Scale { item: at, cuts: levels[1..].to_vec(), how }
        }
        _ if whole.levels <= 2 => half(),
        _ => {
            let n = whole.levels.min(MOST_LEVELS);
            let class = |v: f64| ((v / item.max * n as f64) as usize).min(n - 1);
            let mut used: Vec<usize> = levels.iter().map(|v| class(*v)).collect();
            used.dedup();
            let cuts = used[1..].iter().map(|class| item.max * *class as f64 / n as f64).collect();
            Scale { item: at, cuts, how: How::Cut }
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if a == 0 { b } else { gcd(b % a, a) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marks::{Item, Row};

    /// Rows of (person, item, score); items give 1 mark but for those named.
    fn marks(rows: &[(&str, &str, f32)], most: &[(&str, f64)]) -> Marks {
        let mut marks = Marks::default();
        for (person, item, score) in rows {
            let person = marks.person(person).expect("room");
            let max = most.iter().find(|(name, _)| name == item).map_or(1.0, |(_, max)| *max);
            let item = marks.item(item, || Item::new(*item, max)).expect("room");
            marks.push(Row { person, item, grader: Row::NOBODY, attempt: 0, score: *score }).expect("fits");
        }
        marks
    }

    fn of(scored: &Scored, person: usize) -> Vec<usize> {
        scored.responses.of(person).map(|(_, score)| score).collect()
    }

    #[test]
    fn partial_credit_becomes_steps_and_an_empty_step_is_joined() {
        let rows = [
            ("a", "four", 0.0),
            ("b", "four", 2.0),
            ("c", "four", 4.0),
            ("a", "gap", 0.0),
            ("b", "gap", 1.0),
            ("c", "gap", 3.0),
            ("a", "f1", 0.13),
            ("b", "f1", 0.91),
            ("c", "f1", 0.52),
            ("a", "mean", 0.5),
            ("b", "mean", 0.0),
            ("c", "mean", 1.0),
        ];
        let marks = marks(&rows, &[("four", 4.0), ("gap", 3.0)]);
        let scored = Scored::new(&marks, &Whole::default()).expect("responses");
        let how: Vec<How> = scored.items.iter().map(|s| s.how).collect();
        assert_eq!(how, [How::Steps, How::Joined, How::Cut, How::Steps]);
        assert_eq!([of(&scored, 0), of(&scored, 1), of(&scored, 2)], [[0, 0, 0, 1], [1, 1, 1, 0], [2, 2, 1, 2]]);
        let binary = Scored::new(&marks, &Whole { binary: true, ..Whole::default() }).expect("responses");
        assert_eq!(of(&binary, 1), [1, 0, 1, 0]);
        let classes = Scored::new(&marks, &Whole { levels: 4, ..Whole::default() }).expect("responses");
        assert_eq!(classes.items[2].cuts, [0.5, 0.75]);
    }

    #[test]
    fn what_says_nothing_is_set_aside_by_name_until_nothing_more_is() {
        // "right" is all right; without it, "b" has nothing left but "odd", which nobody else met.
        let rows = [
            ("a", "right", 1.0),
            ("b", "right", 1.0),
            ("c", "right", 1.0),
            ("a", "x", 1.0),
            ("c", "x", 0.0),
            ("a", "y", 0.0),
            ("c", "y", 1.0),
            ("b", "odd", 1.0),
        ];
        let scored = Scored::new(&marks(&rows, &[]), &Whole::default()).expect("responses");
        let names: Vec<&str> = scored.aside.iter().map(|a| &*a.name).collect();
        assert_eq!((scored.responses.persons(), scored.responses.items()), (2, 2));
        assert!(["right", "odd", "b"].iter().all(|name| names.contains(name)), "{:?}", scored.aside);
        assert!(scored.aside[0].why.contains("all 3 persons answered it right"), "{:?}", scored.aside);
    }

    #[test]
    fn parts_are_named_and_the_largest_stays() {
        let rows =
            [("a", "x", 1.0), ("b", "x", 0.0), ("a", "y", 0.0), ("b", "y", 1.0), ("c", "z", 1.0), ("d", "z", 0.0)];
        let scored = Scored::new(&marks(&rows, &[]), &Whole::default()).expect("responses");
        assert_eq!(scored.parts.len(), 2);
        assert_eq!((scored.parts[1].persons.join(","), scored.parts[1].items.join(",")), ("c,d".into(), "z".into()));
        assert_eq!(scored.responses.persons(), 2);
        // Known items hold the scale, and everything stays.
        let known = ["x", "y", "z"].map(|id| (id.to_string(), vec![1.0]));
        let whole = Whole { known: known.into_iter().collect(), ..Whole::default() };
        let scored = Scored::new(&marks(&rows, &[]), &whole).expect("responses");
        assert_eq!(
            (scored.responses.persons(), scored.parts.len(), scored.extreme()),
            (4, 0, vec![(2, true), (3, false)])
        );
    }
}
