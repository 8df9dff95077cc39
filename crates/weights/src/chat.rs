use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, context};
use record::{Message, Role};

use crate::{Error, Result};

/// A model's chat template, ready to render the turns of one conversation.
///
/// Contents themselves go through the template, not placeholders, because templates trim, split and
/// compare them. A guard character stands inside every control token's name that a content holds, so
/// that the caller can tell them from the template's own.
pub(crate) struct Chat<'a> {
    environment: Environment<'static>,
    names: (&'a str, &'a str),
    controls: &'a [(String, u32)],
    /// Whether a control token's name begins with a byte; most bytes of a text begin none.
    begins: [bool; 256],
    /// A Unicode non-character that occurs nowhere else in the conversation.
    pub guard: char,
}

impl<'a> Chat<'a> {
    /// For these messages and any part of them. `names` are those of the begin and the end of text.
    pub fn new(
        template: &str,
        messages: &[Message],
        names: (&'a str, &'a str),
        controls: &'a [(String, u32)],
    ) -> Result<Self> {
        let taken = |c: char| template.contains(c) || messages.iter().any(|m| m.content.contains(c));
        let guard = ('\u{fdd0}'..='\u{fdef}').find(|c| !taken(*c));
        let guard = guard.ok_or_else(|| fail("the conversation holds every non-character of Unicode"))?;
        let mut environment = Environment::new();
        // As Hugging Face renders them.
        let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(whitespace.map_err(fail)?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> std::result::Result<String, minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_template_owned("chat", plain(template)).map_err(fail)?;
        let mut begins = [false; 256];
        controls.iter().for_each(|(name, _)| begins[name.as_bytes()[0] as usize] = true);
        Ok(Self { environment, names, controls, begins, guard })
    }

    /// The text of these messages; `open` begins the model's turn behind them.
    pub fn render(&self, messages: &[Message], open: bool) -> Result<String> {
        let one = |message: &Message| {
            let role = match message.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            context! { role => role, content => self.guarded(&message.content) }
        };
        let (bos, eos) = self.names;
        let messages: Vec<_> = messages.iter().map(one).collect();
        let values = context! { messages, add_generation_prompt => open, bos_token => bos, eos_token => eos };
        self.environment.get_template("chat").and_then(|t| t.render(values)).map_err(fail)
    }

    /// Breaks every control token's name in `content`, also one that is begun at its end or ended at
    /// its start and could become whole beside other text.
    pub fn guarded(&self, content: &str) -> String {
        let mut out = String::with_capacity(content.len());
        let ends_one =
            |(name, _): &(String, u32)| name.char_indices().skip(1).any(|(at, _)| content.starts_with(&name[at..]));
        if self.controls.iter().any(ends_one) {
            out.push(self.guard);
        }
        for (at, character) in content.char_indices() {
            let rest = &content[at..];
            out.push(character);
            if !self.begins[rest.as_bytes()[0] as usize] {
                continue;
            }
            if self.controls.iter().any(|(name, _)| rest.starts_with(name.as_str()) || name.starts_with(rest)) {
                out.push(self.guard);
            }
        }
        out
    }
}

fn fail(problem: impl ToString) -> Error {
    Error::Template { problem: problem.to_string(), hint: "the model's template may need another conversation" }
}

/// Replaces the tags `generation` and `endgeneration`, by which some templates mark what the model
/// says, by a condition that always holds: the text and the handling of white space stay the same.
fn plain(template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out += before;
        let sign = tag.starts_with(['-', '+']) as usize;
        let word = tag[sign..].trim_start();
        let begin = tag.len() - word.len();
        let replaced = [("endgeneration", "endif"), ("generation", "if true")].into_iter().find(|(name, _)| {
            word.strip_prefix(name).is_some_and(|after| {
                let after = after.trim_start();
                after.strip_prefix(['-', '+']).unwrap_or(after).starts_with("%}")
            })
        });
        match replaced {
            Some((name, by)) => {
                out += &tag[..begin];
                out += by;
                rest = &tag[begin + name.len()..];
            }
            None => rest = tag,
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_marks_become_a_condition_and_nothing_else_changes() {
        for (from, to) in [
            ("{% generation %}x{% endgeneration %}", "{% if true %}x{% endif %}"),
            ("{%- generation -%}x{%-endgeneration-%}", "{%- if true -%}x{%-endif-%}"),
            ("{% if add_generation_prompt %}{{ generation }}", "{% if add_generation_prompt %}{{ generation }}"),
            ("{% generations %}{% set generation = 1 %}{%", "{% generations %}{% set generation = 1 %}{%"),
        ] {
            assert_eq!(plain(from), to);
        }
    }
}
