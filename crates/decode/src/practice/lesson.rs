use record::{Answer, Drop, Message, Preference};
use serde::{Deserialize, Serialize};

use crate::session::Session;
use crate::{Cost, Fate, Search};

/// Says whether a whole answer is right.
pub type Label<'a> = dyn Fn(&str) -> bool + Send + Sync + 'a;

/// What is practised on.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Unique among the questions.
    pub id: &'a str,
    /// The prompt as it will be learned; its last turn is not the model's.
    pub messages: &'a [Message],
    /// Whether a text answers it rightly; only the supervised method looks at it.
    pub right: Option<&'a Label<'a>>,
}

/// What a question taught.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    /// What to prefer to what. Ids are the question's with a number.
    pub preferences: Vec<Preference>,
    /// How they were found; it can be saved and drawn.
    pub search: Option<Search>,
    /// What it cost.
    pub cost: Cost,
    /// What was asked for and not found, by the id that it would have had.
    pub drops: Vec<Drop>,
}

/// A lesson that is being written.
pub(super) struct Notes<'a> {
    question: &'a Question<'a>,
    preferences: Vec<Preference>,
    drops: Vec<Drop>,
}

impl<'a> Notes<'a> {
    pub fn new(question: &'a Question<'a>) -> Self {
        Self { question, preferences: Vec::new(), drops: Vec::new() }
    }

    /// Prefers one answer to another, unless one is empty or both are the same.
    pub fn pair(&mut self, number: usize, step: Option<u32>, chosen: Answer, rejected: Answer) {
        if chosen.text.trim().is_empty() || rejected.text.trim().is_empty() {
            self.none(number, "empty-answer", "one side of the pair says nothing");
        } else if chosen.text == rejected.text {
            self.none(number, "same-answers", "both sides of the pair say the same");
        } else {
            self.enter(number, step, Some(chosen), Some(rejected));
        }
    }

    /// Takes an answer as a good one, unless it is empty.
    pub fn good(&mut self, number: usize, answer: Answer) {
        match answer.text.trim().is_empty() {
            true => self.none(number, "empty-answer", "the answer says nothing"),
            false => self.enter(number, None, Some(answer), None),
        }
    }

    fn enter(&mut self, number: usize, step: Option<u32>, chosen: Option<Answer>, rejected: Option<Answer>) {
        self.preferences.push(Preference {
            id: self.id(number),
            question: self.question.id.into(),
            messages: self.question.messages.to_vec(),
            chosen,
            rejected,
            weight: 1.0,
            step,
        });
    }

    /// Says why there is no preference of this number.
    pub fn none(&mut self, number: usize, reason: &str, detail: impl Into<String>) {
        self.drops.push(Drop {
            stage: "practise".into(),
            record: self.id(number),
            reason: reason.into(),
            detail: detail.into(),
        });
    }

    fn id(&self, number: usize) -> String {
        format!("{}/{number}", self.question.id)
    }

    pub fn finish(self, search: Search) -> Lesson {
        Lesson { preferences: self.preferences, drops: self.drops, cost: search.cost, search: Some(search) }
    }
}

impl Session<'_> {
    /// Draws whole paths from the root and leaves out those that the budget cut.
    pub(super) async fn draw_whole(&mut self, n: usize, draw: lm::Sampling, aside: usize) -> crate::Result<Vec<usize>> {
        let drawn = self.draw_paths(n, draw, aside).await?;
        Ok(drawn.into_iter().filter(|leaf| self.nodes[*leaf].fate != Fate::Cut).collect())
    }

    /// What a whole path says, with the mean log-probability of its tokens.
    pub(super) fn whole_answer(&self, leaf: usize) -> Answer {
        Answer { logprob: self.nodes[leaf].logprob, ..self.response(leaf) }
    }

    /// The first of the leaves with each text, in order.
    pub(super) fn distinct(&self, leaves: &[usize]) -> Vec<usize> {
        let mut kept: Vec<usize> = Vec::new();
        for leaf in leaves {
            if !kept.iter().any(|other| self.nodes[*other].text == self.nodes[*leaf].text) {
                kept.push(*leaf);
            }
        }
        kept
    }
}
