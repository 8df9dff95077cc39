use record::Message;

use crate::{Error, Result, Tokenizer};

/// A conversation that ends with the model's turn, as it is learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The prompt as [`Tokenizer::render_chat`] gives it, then what the model says, then the token by
    /// which the template ends its turn.
    pub tokens: Vec<u32>,
    /// Where the model begins to speak.
    pub learned_from: usize,
    /// Whether the conversation rendered as one text has other tokens: where a message begins with a
    /// space or a line's end, this may melt into the prompt's last token. Here prompt and answer are
    /// apart, as they are when the model generates.
    pub seam: bool,
}

impl Tokenizer {
    /// Tokens of a conversation whose last message is the model's, split where the model begins to
    /// speak. What it says is what the template makes of it (many trim it), so the mask follows the
    /// template and not the text.
    ///
    /// The template must be stable: what it writes for the whole conversation begins with what it
    /// writes for the prompt with the model's turn opened. Otherwise training would show the model
    /// something that generation never does, which is [`Error::UnstableTemplate`]; a template that
    /// cannot open the model's turn is [`Error::UnopenedTemplate`].
    pub fn render_turn(&self, messages: &[Message]) -> Result<Turn> {
        let Some((last, before)) = messages.split_last() else {
            return Err(Error::Template { problem: "there are no messages".into(), hint: "give a question" });
        };
        let chat = self.chat(messages)?;
        let (prompt, whole) = (chat.render(before, true)?, chat.render(messages, false)?);
        let Some(said) = whole.strip_prefix(&prompt) else {
            return Err(unstable(&prompt, &whole, chat.guard));
        };
        let opens = || Ok::<_, Error>(chat.render(before, false)? != prompt);
        if !said.trim_start().starts_with(chat.guarded(&last.content).trim()) && !opens()? {
            let header = said.split(last.content.trim()).next().unwrap_or(said);
            return Err(Error::UnopenedTemplate { header: shown(header, chat.guard) });
        }
        let mut tokens = self.encode_template(&prompt, chat.guard, true);
        let learned_from = tokens.len();
        tokens.extend(self.encode_template(said, chat.guard, tokens.is_empty()));
        let found = |is: &dyn Fn(u32) -> bool| tokens[learned_from..].iter().position(|id| is(*id));
        let end = found(&|id| self.eos.contains(&id)).or_else(|| found(&|id| self.is_control(id)));
        match end {
            Some(end) => tokens.truncate(learned_from + end + 1),
            None => tokens.push(*self.eos.first().ok_or_else(|| Error::Template {
                problem: "neither it nor the model has a token that ends a turn".into(),
                hint: "use a model that was tuned for chat",
            })?),
        }
        let one = self.encode_template(&whole, chat.guard, true);
        // A token that the template does not write cannot be compared.
        let compared = tokens.len() - usize::from(end.is_none());
        let seam = one.get(..compared) != Some(&tokens[..compared]);
        Ok(Turn { tokens, learned_from, seam })
    }
}

fn unstable(prompt: &str, whole: &str, guard: char) -> Error {
    let same = prompt.chars().zip(whole.chars()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| shown(&text.chars().skip(same).collect::<String>(), guard);
    Error::UnstableTemplate { prompt: from(prompt), whole: from(whole) }
}

/// The first words of a text, for a message.
fn shown(text: &str, guard: char) -> String {
    const MOST: usize = 40;
    let text: String = text.chars().filter(|c| *c != guard).collect();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{:?}…", &text[..at]),
        None => format!("{text:?}"),
    }
}
