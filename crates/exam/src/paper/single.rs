use serde::{Deserialize, Serialize};

use super::letters::{letter, letters};

/// One of several options is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Single {
    /// The options, in the order of the paper; they are called A, B, C …
    pub options: Vec<String>,
    /// Letter of the right one.
    pub answer: String,
}

impl Single {
    /// Place of the right option, from 0.
    pub fn right(&self) -> Option<usize> {
        letter(&self.answer, self.options.len())
    }

    /// Share of the points, 0 or 1, and why. More than one letter is wrong.
    pub fn mark(&self, text: &str) -> (f64, String) {
        let Some(chosen) = letters(text, &self.options) else { return (0.0, "no option can be read".into()) };
        let right = chosen.len() == 1 && Some(chosen[0]) == self.right();
        (f64::from(u8::from(right)), format!("chose {}", super::letters::named(&chosen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_right_letter_counts() {
        let item = Single { options: vec!["red".into(), "blue".into(), "green".into()], answer: "B".into() };
        for (text, share) in
            [("B", 1.0), ("The answer is (B).", 1.0), ("blue", 1.0), ("A", 0.0), ("AB", 0.0), ("", 0.0)]
        {
            assert_eq!(item.mark(text).0, share, "{text:?}");
        }
    }
}
