use std::sync::LazyLock;

use record::FactKind;
use regex::Regex;

use super::{Candidate, Context};
use crate::number::regex;
use crate::words::listed;

static FOR: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^To ([a-z][^,]{4,60}), (?:.*\b)?(press|hold|push|keep|touch|wait|squeeze|shake|soak|rinse|stir|boil)\b(?:[^.]*?) for (\w+ (?:seconds?|minutes?|hours?))(?:\.|,|$)",
    )
});
static DIAL: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:To|For) ([a-z][^,]{4,60}), (dial|call|type|enter|press|select) ((?:the )?[\w*#-]+(?: [\w-]+){0,2}?)(?: once| twice)?\.?$",
    )
});

/// `To wake the reader, press the badge against the glass for 5 seconds.`
pub(crate) fn find(context: &Context) -> Vec<Candidate> {
    let purpose =
        |text: &str| !text.split(' ').any(|w| listed("it them this that these", w)) && text.split(' ').count() <= 8;
    if let Some(found) = FOR.captures(context.text)
        && purpose(&found[1])
    {
        return vec![Candidate::new("duration", &found[1], &found[2], &found[3], FactKind::Number)];
    }
    if let Some(found) = DIAL.captures(context.text)
        && purpose(&found[1])
        && context.text.starts_with("To ")
    {
        return vec![Candidate::new("action", &found[1], &found[2], &found[3], super::kind(&found[3]))];
    }
    Vec::new()
}
