use std::sync::Arc;

use record::{Item, Message};
use tasks::Problem;

use crate::{Error, Result};

/// What a text answers, if anything.
type Said = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// Whether a text answers rightly.
type Right = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A question: to practise on, or held out to measure with.
#[derive(Clone)]
pub(crate) struct Task {
    /// Unique in its set.
    pub id: String,
    /// What it is about; the cluster of standard errors, and what banks are split by.
    pub fact: String,
    /// Where it comes from.
    pub source: String,
    /// What the model reads; the last turn is not the model's.
    pub messages: Vec<Message>,
    /// Ends an answer, beside the end of the turn.
    pub stop: Vec<String>,
    /// Accepted answers, where known.
    pub answers: Vec<String>,
    /// What a text answers, for votes.
    pub said: Said,
    /// Whether a text answers rightly, where that is known.
    pub right: Option<Right>,
    /// Tokens that may be decoded for it; none for what all questions get.
    pub budget: Option<u64>,
}

impl Task {
    /// A question without a known answer.
    pub fn open(id: impl Into<String>, messages: Vec<Message>) -> Self {
        let id = id.into();
        Self {
            fact: id.clone(),
            id,
            source: String::new(),
            messages,
            stop: Vec::new(),
            answers: Vec::new(),
            said: Arc::new(decode::answer::last),
            right: None,
            budget: None,
        }
    }

    /// A question whose answer is free text, marked as an exam marks it, or by the last number or the
    /// line after `Answer:`.
    pub fn answered(id: impl Into<String>, messages: Vec<Message>, answers: Vec<String>) -> Self {
        let accepted = answers.clone();
        let right = move |text: &str| {
            let said = tasks::answer(text);
            exam::exact_match(text.trim(), &accepted)
                || said.is_some_and(|said| accepted.iter().any(|answer| tasks::same(&said, answer)))
        };
        Self { answers, right: Some(Arc::new(right)), ..Self::open(id, messages) }
    }

    /// A bank's question, asked and marked as in an exam. Questions with choices are marked by
    /// likelihood, which greedy answers do not have.
    pub fn of_item(item: &Item) -> Result<Self> {
        if !item.choices.is_empty() {
            return Err(Error::Nothing {
                problem: format!("question {:?} has choices, which are not written out", item.id),
                hint: "give a bank whose questions are answered in words".into(),
            });
        }
        let answers = item.answers.clone();
        Ok(Self {
            fact: item.fact.clone(),
            source: item.document.clone(),
            stop: vec!["\n".into()],
            answers: item.answers.clone(),
            said: Arc::new(|text| Some(exam::normalise(text)).filter(|said| !said.is_empty())),
            right: Some(Arc::new(move |text| exam::exact_match(text.trim(), &answers))),
            ..Self::open(&item.id, vec![Message::user(&item.question)])
        })
    }

    /// A problem of the generator.
    pub fn of_problem(problem: Problem) -> Self {
        Self {
            source: format!("tasks/{}/{}", problem.kind, problem.difficulty),
            answers: vec![problem.answer.clone()],
            said: Arc::new(tasks::answer),
            ..Self::open(problem.id.clone(), vec![Message::user(problem.prompt())])
        }
        .marked(move |text| problem.verify(text))
    }

    /// A question of a public set. Its worked examples become turns of the conversation, so that the
    /// model's own template stands around them.
    pub fn of_public(question: tasks::public::Question) -> Self {
        let (said, right) = (question.clone(), question.clone());
        Self {
            source: question.id.split('/').next().unwrap_or_default().into(),
            stop: tasks::public::STOP.map(Into::into).into(),
            answers: vec![question.answer.clone()],
            said: Arc::new(move |text| said.said(text)),
            ..Self::open(question.id.clone(), turns(&question.prompt))
        }
        .marked(move |text| right.verify(text))
    }

    fn marked(self, right: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { right: Some(Arc::new(right)), ..self }
    }

    /// The same question, its answer forgotten.
    pub fn unlabelled(self) -> Self {
        Self { answers: Vec::new(), right: None, ..self }
    }

    /// Everything about it that changes what comes out, for the address of a plan.
    pub fn identity(&self) -> impl serde::Serialize + '_ {
        (&self.id, &self.fact, &self.messages, &self.stop, &self.answers, &self.budget)
    }

    /// The last turn's text.
    pub fn question(&self) -> &str {
        self.messages.last().map_or("", |message| &message.content)
    }
}

/// Worked examples and the last, open question of a prompt as a conversation.
fn turns(prompt: &str) -> Vec<Message> {
    let blocks: Vec<&str> = prompt.split("\n\n").map(str::trim).filter(|block| !block.is_empty()).collect();
    let Some((asked, examples)) = blocks.split_last() else { return Vec::new() };
    let mut turns = Vec::new();
    for example in examples {
        // An example is a question of one line, then its answer.
        let (question, answer) = example.split_once('\n').unwrap_or((example, ""));
        turns.extend([Message::user(question), Message::assistant(answer)]);
    }
    turns.push(Message::user(*asked));
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Role;

    #[test]
    fn worked_examples_become_turns() {
        let prompt = "Question: 1 and 1?\n1 + 1 = 2\nAnswer: 2\n\nQuestion: 2 and 3?\n2 + 3 = 5\nAnswer: 5\n\nQuestion: 4 and 4?\n";
        let turns = turns(prompt);
        let roles: Vec<Role> = turns.iter().map(|turn| turn.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::User, Role::Assistant, Role::User]);
        assert_eq!(turns[1].content, "1 + 1 = 2\nAnswer: 2");
        assert_eq!(turns[4].content, "Question: 4 and 4?");
    }

    #[test]
    fn answers_in_a_sentence_and_behind_the_word_are_right() {
        let task = Task::answered("a", vec![Message::user("How many?")], vec!["12".into()]);
        let right = task.right.as_ref().expect("marked");
        assert!(right("12") && right("5 + 7 = 12\nAnswer: 12") && right("It is 12."));
        assert!(!right("It is 13.") && !right(""));
        let open = task.clone().unlabelled();
        assert!(open.right.is_none() && open.answers.is_empty());
    }
}
