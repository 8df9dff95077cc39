use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::Paper;

/// What a person got for a paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// Points that count.
    pub points: f64,
    /// The most that the paper gives; a group gives what one of its items gives.
    pub most: f64,
    /// Which item of each group counted, in the order of the groups' first items.
    pub choices: Vec<Choice>,
}

/// Which of the elective items of a group counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The group.
    pub group: String,
    /// The item that counted: the best one, of equal ones the first of the paper.
    pub item: String,
    /// Its points.
    pub points: f64,
    /// The others, with their points.
    pub others: Vec<(String, f64)>,
}

/// Sums a person's points; an item without points counts as 0.
pub fn total(paper: &Paper, points: &HashMap<&str, f64>) -> Total {
    let of = |id: &str| points.get(id).copied().unwrap_or(0.0);
    let mut total = Total { points: 0.0, most: 0.0, choices: Vec::new() };
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for item in &paper.items {
        let got = of(&item.id);
        let Some(group) = &item.group else {
            total.points += got;
            total.most += item.points;
            continue;
        };
        let Some(&at) = groups.get(group.as_str()) else {
            groups.insert(group, total.choices.len());
            total.most += item.points;
            let (group, item) = (group.clone(), item.id.clone());
            total.choices.push(Choice { group, item, points: got, others: Vec::new() });
            continue;
        };
        let choice = &mut total.choices[at];
        let mut other = (item.id.clone(), got);
        if got > choice.points {
            std::mem::swap(&mut choice.item, &mut other.0);
            std::mem::swap(&mut choice.points, &mut other.1);
        }
        choice.others.push(other);
    }
    total.points += total.choices.iter().map(|choice| choice.points).sum::<f64>();
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::{Blank, Item, Kind};

    #[test]
    fn the_better_of_a_group_counts_and_is_named() {
        let item = |id: &str, points: f64, group: Option<&str>| Item {
            id: id.into(),
            question: "?".into(),
            points,
            group: group.map(Into::into),
            cluster: None,
            subject: None,
            difficulty: None,
            kind: Kind::Blank(Blank { answers: vec!["x".into()], tolerance: None, relative: None, units: vec![] }),
        };
        let items = vec![
            item("1", 5.0, None),
            item("2", 15.0, Some("e")),
            item("3", 15.0, Some("e")),
            item("4", 15.0, Some("e")),
        ];
        let day = "2024-06-07".parse().expect("a day");
        let paper = Paper { title: "t".into(), date: day, subject: "s".into(), licence: "l".into(), items };
        let points = HashMap::from([("1", 4.0), ("2", 7.5), ("3", 9.0)]);
        let sum = total(&paper, &points);
        assert_eq!((sum.points, sum.most), (13.0, 20.0));
        assert_eq!((sum.choices[0].item.as_str(), sum.choices[0].points), ("3", 9.0));
        assert_eq!(sum.choices[0].others, [("2".to_string(), 7.5), ("4".to_string(), 0.0)]);
        let none = total(&paper, &HashMap::new());
        assert_eq!((none.points, none.choices[0].item.as_str()), (0.0, "2"));
    }
}
