use record::Message;

/// The turn that a completion becomes. In the plain-text form a completion goes on where its prompt
/// ends, so it often begins with the space between them; between turns there is none.
pub(super) fn answer(completion: &str) -> Message {
    Message::assistant(completion.strip_prefix(' ').unwrap_or(completion))
}
