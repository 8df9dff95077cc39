//! Here is a question without its answer; what does the model itself prefer?
//!
//! A [`Method`] says how; the result is a [`Lesson`]: preferences to learn from, the search that
//! found them, and what it cost. All methods stand on the session that answers are searched with,
//! so seeds, budget and records are the same.
//!
//! Invariants: only [`Star`] looks at a question's label. A preference never has an empty side, nor
//! the same text on both. What was asked for and not found is a drop with its reason: for Genius
//! steps = preferences + drops.

mod genius;
mod greedy;
mod lesson;
mod method;
mod self_rewarding;
mod star;
mod vote;

use record::seed::derive;

pub use genius::{Explore, Genius};
pub use lesson::{Label, Lesson, Question};
pub use method::Method;
pub use self_rewarding::SelfRewarding;
pub use star::Star;
pub use vote::Vote;

use crate::session::Session;
use crate::{Error, Event, Request, Result, Strategy, Tools};

/// Turns a question into preferences. `request.prompt` is what the model reads of the question;
/// `progress` sees every node, round and the cost. The question's id enters the seed.
///
/// # Errors
/// A setting out of range, a model or a question that lacks what the method needs, or a call that
/// failed. The budget's end is none: what is known by then is the lesson.
pub async fn practise(
    model: &lm::SharedModel,
    method: &Method,
    question: &Question<'_>,
    request: &Request,
    tools: &Tools<'_>,
    progress: &mut (dyn FnMut(Event) + Send),
) -> Result<Lesson> {
    method.validate()?;
    request.validate()?;
    if method.endless() && request.budget.is_none() {
        let problem = "must be given where a method draws as many paths as it pays for".into();
        return Err(Error::Request { field: "budget", problem });
    }
    if method.needs_labels() && question.right.is_none() {
        return Err(Error::Needs {
            strategy: method.name(),
            what: "to know which answers are right, and the question has no label",
            hint: "give labels, or take a method that learns without",
        });
    }
    let request = Request { seed: derive(request.seed, "practise", question.id), ..request.clone() };
    // A remote model knows what it can do only once it was asked.
    let failed = |source| Error::Model { node: 0, operation: "ask what the model can do", source };
    let able = model.discover().await.map_err(failed)?;
    let strategy = Strategy::Practice { method: method.clone() };
    let session = Session::new(model, able, &strategy, &request, tools, progress);
    match method {
        Method::Genius(settings) => genius::practise(session, settings, question).await,
        Method::Greedy => greedy::practise(session, question).await,
        Method::Vote(settings) => vote::practise(session, settings, question).await,
        Method::SelfRewarding(settings) => self_rewarding::practise(session, settings, question).await,
        Method::Star(settings) => star::practise(session, settings, question).await,
    }
}
