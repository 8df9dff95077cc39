use std::collections::{BTreeMap, HashMap, HashSet};

use record::seed;
use serde::{Deserialize, Serialize};

use crate::paper::{Answer, Item, Paper};

/// An answer as graders get it, and who wrote it, which they do not get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// What stands for it on marking sheets and in prompts.
    pub code: String,
    /// Id of the item.
    pub item: String,
    /// Who wrote it.
    pub person: String,
    /// Number of the attempt.
    pub attempt: u16,
    /// The text.
    pub text: String,
    /// Why there is no text, if there is none: the request failed, or nothing was handed in.
    pub failed: Option<String>,
}

impl Script {
    /// Whether there is nothing to mark, so that every grader gives 0.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// One script for each person, attempt and item, shuffled by the seed.
///
/// An item that a person left out gives a blank script, but where the person answered another item of
/// its group: elective items need not be answered. Codes are derived from the seed and say nothing to who
/// does not have it.
pub fn scripts(paper: &Paper, answers: &[Answer], seed_of_codes: u64) -> Vec<Script> {
    let mut persons: BTreeMap<(&str, u16), HashMap<&str, &Answer>> = BTreeMap::new();
    for answer in answers {
        persons.entry((&answer.person, answer.attempt)).or_default().insert(&answer.item, answer);
    }
    let mut scripts = Vec::new();
    for ((person, attempt), answered) in persons {
        let groups: HashSet<&str> = answered.keys().filter_map(|id| paper.item(id)?.group.as_deref()).collect();
        let elective = |item: &Item| item.group.as_deref().is_some_and(|group| groups.contains(group));
        for item in &paper.items {
            let (text, failed) = match answered.get(item.id.as_str()) {
                Some(answer) => (answer.text.clone(), answer.failed.clone()),
                None if elective(item) => continue,
                None => (String::new(), Some("nothing was handed in".into())),
            };
            let key = format!("{person}\n{attempt}\n{}", item.id);
            let code = format!("{:010x}", seed::derive(seed_of_codes, "code", &key) >> 24);
            scripts.push(Script { code, item: item.id.clone(), person: person.into(), attempt, text, failed });
        }
    }
    unique(&mut scripts);
    scripts.sort_by(|a, b| {
        let place = |script: &Script| seed::derive(seed_of_codes, "order of scripts", &script.code);
        place(a).cmp(&place(b)).then_with(|| a.code.cmp(&b.code))
    });
    scripts
}

/// Forty bits hardly ever meet twice; where they do, the second gets a letter more.
fn unique(scripts: &mut [Script]) {
    let mut seen = HashSet::new();
    for script in scripts {
        while !seen.insert(script.code.clone()) {
            script.code.push('x');
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::paper::read_paper;

    /// Two choices, a blank, an open question and an essay; the last two are elective.
    pub(crate) fn paper() -> Paper {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("p.toml");
        let text = r#"
            title = "Spring paper"
            date = "2024-06-07"
            subject = "physics"
            licence = "CC0-1.0"
            [[items]]
            id = "1"
            kind = "single"
            points = 4
            question = "Which lamp burns?"
            options = ["the red one", "the green one"]
            answer = "B"
            [[items]]
            id = "2"
            kind = "blank"
            points = 5
            question = "How high is the mast?"
            answers = ["42"]
            tolerance = 0.5
            units = ["m"]
            [[items]]
            id = "3"
            kind = "open"
            group = "elective"
            points = 6
            question = "Why does it fall?"
            solution = "Gravity pulls; nothing holds it."
            steps = [{ text = "names gravity", points = 4, answers = ["gravity"] }, { text = "says that nothing holds it", points = 2, answers = ["nothing holds"] }]
            [[items]]
            id = "4"
            kind = "essay"
            group = "elective"
            points = 6
            question = "Write about the sea."
            criteria = [{ name = "thought", points = 4, levels = [{ points = 1, text = "one idea" }, { points = 4, text = "several" }] }, { name = "language", points = 2 }]
        "#;
        std::fs::write(&path, text).expect("write");
        read_paper(&path).expect("a paper")
    }

    pub(crate) fn answer(person: &str, item: &str, text: &str) -> Answer {
        Answer {
            item: item.into(),
            person: person.into(),
            attempt: 0,
            text: text.into(),
            cut: false,
            failed: None,
            published: None,
            usage: record::Usage::default(),
        }
    }

    #[test]
    fn every_item_has_a_script_but_the_elective_that_was_not_chosen() {
        let answers = [answer("ann", "1", "B"), answer("ann", "3", "gravity"), answer("bob", "2", "42 m")];
        let scripts = scripts(&paper(), &answers, 7);
        let mut told: Vec<_> =
            scripts.iter().map(|s| (s.person.as_str(), s.item.as_str(), s.failed.is_some())).collect();
        told.sort_unstable();
        let wanted = [
            ("ann", "1", false),
            ("ann", "2", true),
            ("ann", "3", false),
            ("bob", "1", true),
            ("bob", "2", false),
            ("bob", "3", true),
            ("bob", "4", true),
        ];
        assert_eq!(told, wanted);
        let codes: HashSet<&str> = scripts.iter().map(|s| s.code.as_str()).collect();
        assert_eq!(codes.len(), scripts.len());
        let order =
            |seed| super::scripts(&paper(), &answers, seed).into_iter().map(|s| (s.person, s.item)).collect::<Vec<_>>();
        assert!(order(7) == order(7) && order(7) != order(8));
    }
}
