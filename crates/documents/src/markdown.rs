use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use crate::html;
use crate::outline::{Block, Content, LOOSE, collapse};
use crate::table::{self, Cell};

/// Blocks of a Markdown text; front matter is left out.
pub(crate) fn content(text: &str) -> Content {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, options) {
        reader.event(event);
    }
    reader.flush();
    reader.content
}

#[derive(Default)]
struct Reader {
    content: Content,
    line: String,
    /// Characters of `line` that are bold, white space apart.
    bold: usize,
    bold_depth: usize,
    heading: Option<u8>,
    code: bool,
    skip: bool,
    html: String,
    term: Option<String>,
    rows: Vec<Vec<Cell>>,
    in_head: bool,
}

impl Reader {
    fn event(&mut self, event: Event) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            _ if self.skip => {}
            Event::Text(text) | Event::Code(text) => self.text(&text),
            Event::SoftBreak | Event::HardBreak => self.line.push('\n'),
            Event::Html(html) => self.html.push_str(&html),
            Event::Rule => self.flush(),
            // Inline tags carry no words; footnote marks and task boxes are no part of a sentence.
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        self.line.push_str(text);
        if self.bold_depth > 0 {
            self.bold += text.chars().filter(|c| !c.is_whitespace()).count();
        }
    }

    fn start(&mut self, tag: Tag) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                self.heading = Some(level_number(level));
            }
            Tag::Strong => self.bold_depth += 1,
            Tag::CodeBlock(_) => {
                self.flush();
                self.code = true;
            }
            Tag::MetadataBlock(MetadataBlockKind::YamlStyle | MetadataBlockKind::PlusesStyle) => self.skip = true,
            Tag::Table(_) => {
                self.flush();
                self.rows.clear();
            }
            Tag::TableHead => {
                self.in_head = true;
                self.rows.push(Vec::new());
            }
            Tag::TableRow => self.rows.push(Vec::new()),
            Tag::TableCell => self.line.clear(),
            Tag::Paragraph | Tag::Item | Tag::List(_) | Tag::BlockQuote(_) | Tag::HtmlBlock => self.flush(),
            Tag::DefinitionListTitle | Tag::FootnoteDefinition(_) => self.flush(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong => self.bold_depth = self.bold_depth.saturating_sub(1),
            TagEnd::CodeBlock => {
                self.flush();
                self.code = false;
            }
            TagEnd::MetadataBlock(_) => self.skip = false,
            TagEnd::TableCell => {
                let text = std::mem::take(&mut self.line);
                let header = self.in_head;
                if let Some(row) = self.rows.last_mut() {
                    row.push(Cell { text, header, span: (1, 1) });
                }
            }
            TagEnd::TableHead => self.in_head = false,
            TagEnd::Table => {
                self.content.blocks.extend(table::lines(&self.rows));
                self.line.clear();
                self.bold = 0;
            }
            TagEnd::HtmlBlock => {
                let page = std::mem::take(&mut self.html);
                self.content.blocks.extend(html::content(&page).blocks);
            }
            TagEnd::DefinitionListTitle => self.term = Some(std::mem::take(&mut self.line)),
            TagEnd::DefinitionListDefinition => {
                let definition = std::mem::take(&mut self.line);
                match &self.term {
                    Some(term) if !definition.trim().is_empty() => self.content.define(term, &definition),
                    _ => self.line = definition,
                }
                self.flush();
            }
            // A paragraph inside a definition belongs to it.
            TagEnd::Paragraph | TagEnd::Item | TagEnd::Heading(_) | TagEnd::FootnoteDefinition
                if self.term.is_none() =>
            {
                self.flush();
            }
            TagEnd::DefinitionList => self.term = None,
            _ => {}
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.line);
        let heading = self.heading.take();
        let bold = std::mem::take(&mut self.bold);
        if text.trim().is_empty() {
            return;
        }
        let all_bold = bold > 0 && bold >= text.chars().filter(|c| !c.is_whitespace()).count();
        if let Some(level) = heading {
            self.content.blocks.push(Block::Heading(level, text));
        } else if self.code {
            self.content.blocks.extend(text.lines().map(|line| Block::Line(line.to_string())));
        } else if all_bold
            && collapse(&text).split(' ').count() <= 12
            && !text.trim_end().ends_with(['.', '!', '?', ':'])
        {
            self.content.blocks.push(Block::Heading(LOOSE, text));
        } else {
            self.content.blocks.push(Block::Text(text));
        }
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_blocks() {
        let text = "---\ntitle: x\n---\n# Radio *room*\nThe `log` is **green**.\n\n- **Sked**: a call\n- two\n  lines\n\n**Bold alone**\n\n> quoted\n\n```c\n#define A 5\nint b;\n```\n\n| Who | Sign |\n|---|---|\n| Otter | **Whisker** |\n\nSkip\n: a leap\n\n<p>In <i>HTML</i></p>\n";
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
