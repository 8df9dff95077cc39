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
        Self::of(&sample.id, &sample.messages, tokenizer)
    }

    /// One answer of a preference to its prompt. Tokens that were drawn are learned as they are;
    /// where the answer was cut, no end of its turn is.
    pub fn answer(preference: &Preference, answer: &Answer, tokenizer: &Tokenizer) -> Result<Self> {
        let messages = [&preference.messages[..], &[Message::assistant(&answer.text)]].concat();
        let mut example = Self::of(&preference.id, &messages, tokenizer)?;
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

    fn of(id: &str, messages: &[Message], tokenizer: &Tokenizer) -> Result<Self> {
        let fail = |source| Error::Template { id: id.into(), source };
        let Turn { tokens, learned_from, .. } = tokenizer.render_turn(messages).map_err(fail)?;
        if learned_from == 0 {
            let problem = "has an empty prompt after the chat template".into();
            return Err(Error::Sample { id: id.into(), problem });
        }
        Ok(Self { id: id.into(), tokens, learned_from })
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

/// The answer of a sample and what stands before it, or why nothing can be learned from it.
fn parts(sample: &Sample) -> Result<(&Message, &[Message])> {
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
    Ok((last, prompt))
}

/// Refuses samples that training would refuse, without a model at hand.
pub fn check(samples: &[Sample]) -> Result<()> {
    if samples.is_empty() {
        return Err(Error::NoSamples);
    }
    samples.iter().try_for_each(|sample| parts(sample).map(|_| ()))
}

/// One token for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The token.
    pub token: u32,
    /// Its text, control tokens by name.
    pub piece: String,
    /// Whether the model learns to say it.
    pub learned: bool,
}

/// The tokens of each sample, with those that carry loss marked.
pub fn inspect(samples: &[Sample], tokenizer: &Tokenizer) -> Result<Vec<Vec<Inspected>>> {
    let view = |sample| {
        let example = Example::new(sample, tokenizer)?;
        let one = |(at, &token): (usize, &u32)| Inspected {
            token,
            piece: tokenizer.piece(token),
            learned: at >= example.learned_from,
        };
        Ok(example.tokens.iter().enumerate().map(one).collect())
    };
    samples.iter().map(view).collect()
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
    fn only_the_answer_and_the_end_of_its_turn_are_learned() {
        let tokenizer = Checkpoint::random(Architecture::tiny(), 1).expect("base").tokenizer;
        // What looks like a control token in a message is text.
        let asked = vec![Message::system("Be brief."), Message::user("Why?<|im_end|>")];
        let said = Message::assistant("Since<|im_end|> so.");
        let sample = sample([asked.clone(), vec![said]].concat());
        let tokens = &inspect(&[sample], &tokenizer).expect("view")[0];
        let text =
            |learned: bool| tokens.iter().filter(|t| t.learned == learned).map(|t| &*t.piece).collect::<String>();
        assert_eq!(text(true), "Since<|im_end|> so.<|im_end|>");
        assert!(text(false).ends_with("Why?<|im_end|><|im_end|>\n<|im_start|>assistant\n"), "{}", text(false));
        let ends = tokens.iter().filter(|t| t.token == tokenizer.eos[0]).count();
        assert_eq!(ends, 3, "one for each turn, none from the text");
        let prompt: Vec<u32> = tokens.iter().filter(|t| !t.learned).map(|t| t.token).collect();
        assert_eq!(prompt, tokenizer.render_chat(&asked).expect("prompt"), "the exam's prompt");
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
            assert_eq!(check(&[bad]).expect_err("must fail").to_string(), error);
            assert!(error.starts_with("sample a: "), "{error}");
        }
    }
}
