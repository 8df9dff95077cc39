use record::{Answer, Message, Preference, Role, Sample};
use weights::{Tokenizer, Turn};

use crate::{Error, Result};

/// A sample as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Id of the sample.
    pub id: String,
    /// Prompt, then completion, then the end of the turn.
    pub tokens: Vec<u32>,
    /// Where the completion begins; from here on every token is learned.
    pub learned_from: usize,
}

impl Example {
    /// The prompt is the chat template's rendering of all messages but the last, with the model's turn
    /// opened; the completion is what the template makes of the last message, up to the token that
    /// ends its turn ([`Tokenizer::render_turn`]). A prompt of the exam is made the same way, so
    /// training and exam see the same tokens.
    pub fn new(sample: &Sample, tokenizer: &Tokenizer) -> Result<Self> {
        parts(sample)?;
        Ok(Self::of(&sample.id, &sample.messages, tokenizer)?.0)
    }

    /// One answer of a preference to its prompt. Tokens that were drawn are learned as they are;
    /// where the answer was cut, no end of its turn is.
    pub fn answer(preference: &Preference, answer: &Answer, tokenizer: &Tokenizer) -> Result<Self> {
        let messages = [&preference.messages[..], &[Message::assistant(&answer.text)]].concat();
        let (mut example, _) = Self::of(&preference.id, &messages, tokenizer)?;
        let end = example.tokens.pop();
        if !answer.tokens.is_empty() {
            example.tokens.truncate(example.learned_from);
            example.tokens.extend(&answer.tokens);
        }
        let said = answer.tokens.last().is_some_and(|last| tokenizer.eos.contains(last));
        example.tokens.extend(end.filter(|_| answer.ended && !said));
        if example.learned() == 0 {
            return Err(Error::Sample { id: example.id, problem: "has an empty answer".into() });
        }
        Ok(example)
    }

    /// The example, and whether it has a [`Turn::seam`].
    pub(crate) fn of(id: &str, messages: &[Message], tokenizer: &Tokenizer) -> Result<(Self, bool)> {
        let fail = |source| Error::Template { id: id.into(), source };
        let Turn { tokens, learned_from, seam } = tokenizer.render_turn(messages).map_err(fail)?;
        if learned_from == 0 {
            let problem = "has an empty prompt after the chat template".into();
            return Err(Error::Sample { id: id.into(), problem });
        }
        Ok((Self { id: id.into(), tokens, learned_from }, seam))
    }

    /// As [`Example::new`], for training from nothing: `whole` learns the prompt too, and there need
    /// not be one. The first token of all is never learned, because nothing stands before it.
    pub fn text(sample: &Sample, tokenizer: &Tokenizer, whole: bool) -> Result<Self> {
        let mut example = match &sample.messages[..] {
            [only] if only.role == Role::Assistant && !only.content.is_empty() => {
                let mut tokens = tokenizer.raw(&only.content);
                tokens.extend(tokenizer.eos.first());
                Self { id: sample.id.clone(), tokens, learned_from: 1 }
            }
            _ => Self::new(sample, tokenizer)?,
        };
        if whole {
            example.learned_from = 1;
        }
        if example.tokens.len() < 2 {
            return Err(Error::Sample { id: sample.id.clone(), problem: "is too short to learn from".into() });
        }
        Ok(example)
    }

    /// Number of learned tokens.
    pub fn learned(&self) -> usize {
        self.tokens.len() - self.learned_from
    }

    /// Fits the example into a row, or says why it does not fit.
    pub(crate) fn fit(mut self, row_tokens: usize, truncate: bool) -> Result<Self> {
        let tokens = self.tokens.len();
        if tokens > row_tokens {
            if !truncate || self.learned_from >= row_tokens {
                return Err(Error::SampleTooLong { id: self.id, tokens, row_tokens });
            }
            self.tokens.truncate(row_tokens);
        }
        Ok(self)
    }
}

/// Refuses a sample from which nothing can be learned.
fn parts(sample: &Sample) -> Result<()> {
    let fail = |problem: &str| Error::Sample { id: sample.id.clone(), problem: problem.into() };
    let Some((last, prompt)) = sample.messages.split_last() else { return Err(fail("has no messages")) };
    if last.role != Role::Assistant {
        return Err(fail("must end with the assistant's message, which is what is learned"));
    }
    if last.content.is_empty() {
        return Err(fail("has an empty answer"));
    }
    if prompt.is_empty() {
        return Err(fail("has no message before the answer"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weights::{Architecture, Checkpoint};

    fn sample(messages: Vec<Message>) -> Sample {
        let (fact, document, wording) = (String::new(), String::new(), String::new());
        Sample { id: "a".into(), fact, document, messages, wording, citations: Vec::new() }
    }

    #[test]
    fn a_sample_without_question_or_answer_is_refused_by_name() {
        let tokenizer = Checkpoint::random(Architecture::tiny(), 1).expect("base").tokenizer;
        let asked = Message::user("Why?");
        let bad =
            [vec![], vec![asked.clone()], vec![Message::assistant("So.")], vec![asked.clone(), Message::assistant("")]];
        for messages in bad {
            let bad = sample(messages);
            let error = Example::new(&bad, &tokenizer).expect_err("must fail").to_string();
            assert!(error.starts_with("sample a: "), "{error}");
        }
    }
}
