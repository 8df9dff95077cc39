use serde::{Deserialize, Serialize};

use crate::{Kind, Split, answer, same};

/// A problem with its worked steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Kind, difficulty and a hash of the question: `chain-3-2f6c0a91d4b7e835`. The same question
    /// has the same id at every seed.
    pub id: String,
    /// Kind of the problem.
    pub kind: Kind,
    /// 1 (easiest) to 9.
    pub difficulty: u8,
    /// What it may be used for.
    pub split: Split,
    /// The question, one line.
    pub question: String,
    /// The steps that lead to the answer, one line each.
    pub steps: Vec<String>,
    /// The answer: a number, a letter or a few words.
    pub answer: String,
}

impl Problem {
    /// What a model of the laboratory reads: `Q: …\nA:\n`.
    pub fn prompt(&self) -> String {
        format!("Q: {}\nA:\n", self.question)
    }

    /// What it should write: the steps, one a line, then `Answer: X` and a line's end.
    pub fn solution(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            text += step;
            text.push('\n');
        }
        text + &format!("Answer: {}\n", self.answer)
    }

    /// Whether a text gives the right answer, by [`answer`](fn@crate::answer) and
    /// [`same`](fn@crate::same). The steps are not marked.
    pub fn verify(&self, text: &str) -> bool {
        answer(text).is_some_and(|said| same(&said, &self.answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_and_solution_are_what_a_model_reads_and_writes() {
        let problem = Problem {
            id: "chain-1-0".into(),
            kind: Kind::Chain,
            difficulty: 1,
            split: Split::Train,
            question: "7 +4 *2".into(),
            steps: vec!["7+4=11".into(), "11*2=22".into()],
            answer: "22".into(),
        };
        assert_eq!(problem.prompt(), "Q: 7 +4 *2\nA:\n");
        assert_eq!(problem.solution(), "7+4=11\n11*2=22\nAnswer: 22\n");
        assert!(problem.verify(&problem.solution()) && problem.verify("it is 22."));
        for wrong in ["", "Answer: 2", "Answer: 222", "22\nAnswer: 21", "Answer:"] {
            assert!(!problem.verify(wrong), "{wrong:?}");
        }
    }
}
