use pulldown_cmark::{Options, Parser, html};

use crate::outline::Content;

/// Blocks of a Markdown text; front matter is left out.
///
/// The text is read by way of HTML, so that tables, terms and lists of links are treated alike in
/// both formats.
pub(crate) fn content(text: &str) -> Content {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut page = String::with_capacity(text.len() + text.len() / 4);
    html::push_html(&mut page, Parser::new_ext(text, options));
    crate::html::content(&page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outline::{Block, collapse};

    #[test]
    fn markup_becomes_blocks() {
        let text = "---\ntitle: x\n---\n# Radio *room*\nThe `log` is **green**.\n\n- **Sked**: a call\n- two\n  lines\n\n**Bold alone**\n\n> quoted\n\n```c\n#define A 5\nint b;\n```\n\n| Who | Sign |\n|---|---|\n| Otter | **Whisker** |\n\nSkip\n: a leap\n\n<p>In <i>HTML</i></p>\n\n- [One page](a)\n- [Another page](b)\n";
        let blocks: Vec<_> = content(text).blocks;
        let blocks: Vec<String> = blocks
            .iter()
            .map(|block| match block {
                Block::Heading(level, text) => format!("{level} {}", collapse(text)),
                Block::Text(text) => collapse(text),
                Block::Line(text) => format!("| {}", collapse(text)),
            })
            .collect();
        assert_eq!(
            blocks,
            [
                "1 Radio room",
                "The log is green.",
                "Sked: a call",
                "two lines",
                "7 Bold alone",
                "quoted",
                "| #define A 5",
                "| int b;",
                "| Who: Otter; Sign: Whisker",
                "| Skip: a leap",
                "In HTML",
            ]
        );
    }
}
