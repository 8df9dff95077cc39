use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, context};
use record::{Message, Role};

use crate::{Error, Result};

/// Renders a conversation. Returns the text and the guard character that stands inside every control
/// token's name that a message's content holds, so that the caller can tell them from the template's own.
///
/// Contents themselves go through the template, not placeholders, because templates trim, split and
/// compare them. The guard is a Unicode non-character that occurs nowhere else in the conversation.
pub(crate) fn render(
    template: &str,
    messages: &[Message],
    (bos, eos): (&str, &str),
    controls: &[(String, u32)],
) -> Result<(String, char)> {
    let fail =
        |problem: String| Error::Template { problem, hint: "the model's template may need another conversation" };
    let taken = |c: char| template.contains(c) || messages.iter().any(|m| m.content.contains(c));
    let guard = ('\u{fdd0}'..='\u{fdef}').find(|c| !taken(*c));
    let guard = guard.ok_or_else(|| fail("the conversation holds every non-character of Unicode".into()))?;
    let words = |e: minijinja::Error| fail(e.to_string());
    let mut environment = Environment::new();
    // As Hugging Face renders them.
    let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(whitespace.map_err(words)?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> std::result::Result<String, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_template("chat", template).map_err(words)?;
    let messages: Vec<_> = messages
        .iter()
        .map(|m| {
            let role = match m.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            context! { role => role, content => guarded(&m.content, controls, guard) }
        })
        .collect();
    let values = context! { messages, add_generation_prompt => true, bos_token => bos, eos_token => eos };
    let text = environment.get_template("chat").and_then(|t| t.render(values)).map_err(words)?;
    Ok((text, guard))
}

/// Breaks every control token's name in `content`, also one that is begun at its end or ended at its
/// start and could become whole beside other text.
fn guarded(content: &str, controls: &[(String, u32)], guard: char) -> String {
    let mut out = String::with_capacity(content.len());
    let ends_one =
        |(name, _): &(String, u32)| name.char_indices().skip(1).any(|(at, _)| content.starts_with(&name[at..]));
    if controls.iter().any(ends_one) {
        out.push(guard);
    }
    for (at, character) in content.char_indices() {
        let rest = &content[at..];
        out.push(character);
        if controls.iter().any(|(name, _)| rest.starts_with(name.as_str()) || name.starts_with(rest)) {
            out.push(guard);
        }
    }
    out
}
