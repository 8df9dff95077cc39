use serde::{Deserialize, Serialize};

use super::letters::{letter, letters, named};

/// Several options are right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multiple {
    /// The options, in the order of the paper; they are called A, B, C …
    pub options: Vec<String>,
    /// Letters of the right ones, e.g. `["A", "C"]`.
    pub answers: Vec<String>,
    /// What an incomplete answer is worth.
    #[serde(default)]
    pub credit: Credit,
}

/// What an incomplete answer without a wrong option is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credit {
    /// The share of the right options that were chosen, 0 with any wrong one: the rule of the GAOKAO.
    #[default]
    Share,
    /// Nothing.
    AllOrNothing,
}

impl Multiple {
    /// Places of the right options, from 0, rising.
    pub fn right(&self) -> Option<Vec<usize>> {
        let mut right: Vec<usize> =
            self.answers.iter().map(|answer| letter(answer, self.options.len())).collect::<Option<_>>()?;
        right.sort_unstable();
        Some(right)
    }

    /// Share of the points, in [0, 1], and why: |chosen ∩ right| / |right| if nothing wrong was chosen.
    pub fn mark(&self, text: &str) -> (f64, String) {
        let right = self.right().unwrap_or_default();
        let Some(chosen) = letters(text, &self.options) else { return (0.0, "no option can be read".into()) };
        let why = format!("chose {}", named(&chosen));
        if chosen.iter().any(|option| !right.contains(option)) {
            return (0.0, format!("{why}, with a wrong one"));
        }
        let share = chosen.len() as f64 / right.len().max(1) as f64;
        match self.credit {
            Credit::Share => (share, why),
            Credit::AllOrNothing => (f64::from(u8::from(share == 1.0)), why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_the_share_of_right_ones_and_nothing_with_a_wrong_one() {
        let options = ["p", "q", "r", "s"].map(String::from).to_vec();
        let mut item = Multiple { options, answers: vec!["A".into(), "C".into(), "D".into()], credit: Credit::Share };
        for (text, share) in [
            ("ACD", 1.0),
            ("D, A and C", 1.0),
            ("A", 1.0 / 3.0),
            ("AC", 2.0 / 3.0),
            ("AB", 0.0),
            ("ABCD", 0.0),
            ("?", 0.0),
        ] {
            assert_eq!(item.mark(text).0, share, "{text:?}");
        }
        item.credit = Credit::AllOrNothing;
        assert_eq!((item.mark("AC").0, item.mark("CAD").0), (0.0, 1.0));
    }
}
