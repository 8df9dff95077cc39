use crate::example::Example;
use crate::losses::{AnswerScores, PairScores};

/// What is learned together: a sample, or the answers of a preference that the loss looks at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    /// Id of the sample or preference.
    pub id: String,
    /// Number of its question: cases of one question follow each other and stand in one tree.
    pub question: usize,
    /// The better answer and the worse one.
    pub sides: [Option<Completion>; 2],
    /// How much it counts.
    pub weight: f64,
}

/// An answer behind its prompt, and what is known of it before training.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Completion {
    pub example: Example,
    pub advantage: f64,
    /// Its summed log-probability under the reference; 0 where the loss needs none.
    pub reference: f64,
    /// The answer behind the prompt of another question, and its log-probability under the reference.
    pub mismatched: Option<(Example, f64)>,
}

impl Completion {
    pub fn new(example: Example, advantage: f64) -> Self {
        Self { example, advantage, reference: 0.0, mismatched: None }
    }
}

impl Case {
    /// A sample as a case of its own.
    pub fn sample(example: Example, number: usize) -> Self {
        let id = example.id.clone();
        Self { id, question: number, sides: [Some(Completion::new(example, 0.0)), None], weight: 1.0 }
    }

    /// Its answers.
    pub fn completions(&self) -> impl Iterator<Item = &Completion> {
        self.sides.iter().flatten()
    }

    /// Tokens of its answers with their prompts, each counted as if it stood alone.
    pub fn tokens(&self) -> u64 {
        self.completions().map(|completion| completion.example.tokens.len() as u64).sum()
    }

    /// Tokens of its answers.
    pub fn learned(&self) -> u64 {
        self.completions().map(|completion| completion.example.learned() as u64).sum()
    }

    /// Length of the longest sequence that the model is given.
    pub fn longest(&self) -> usize {
        let of = |c: &Completion| {
            c.example.tokens.len().max(c.mismatched.as_ref().map_or(0, |(example, _)| example.tokens.len()))
        };
        self.completions().map(of).max().unwrap_or(0)
    }

    /// What the loss is told, with the log-probabilities of the model that learns.
    pub fn scores(&self, policy: [f64; 2]) -> PairScores {
        let scores = |side: usize| {
            self.sides[side].as_ref().map(|completion| AnswerScores {
                policy: policy[side],
                reference: completion.reference,
                tokens: completion.example.learned(),
                advantage: completion.advantage,
                mismatched: None,
            })
        };
        PairScores { chosen: scores(0), rejected: scores(1), weight: self.weight }
    }
}
