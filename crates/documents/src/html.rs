use scraper::node::{Element, Node};
use scraper::{ElementRef, Html};

use crate::outline::{Block, Content, LOOSE, collapse};
use crate::table::{self, Cell};

/// Elements whose content is not the document's text.
const SKIPPED: &[&str] = &[
    "script", "style", "noscript", "template", "head", "nav", "footer", "aside", "form", "button", "select", "svg",
    "math", "iframe", "object", "canvas", "audio", "video", "del", "textarea", "menu",
];
/// Words of a class or id that mark menus and page furniture.
const FURNITURE: &[&str] = &[
    "nav",
    "navbar",
    "navigation",
    "menu",
    "submenu",
    "mainmenu",
    "searchmenu",
    "menubar",
    "sidebar",
    "sphinxsidebar",
    "toc",
    "breadcrumb",
    "breadcrumbs",
    "footer",
    "tagline",
    "pagination",
    "cookie",
    "advert",
    "headerlink",
    "skiplink",
    "prevnext",
    "toctree",
];
/// Elements that flow within a line; every other one ends it.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "dfn", "em", "font", "i", "ins", "kbd",
    "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var",
    "wbr", "nobr", "img",
];
/// A list or table of at least this many words is a menu when nearly all of them are links.
const MENU_WORDS: usize = 4;
/// A data cell holds at most so many words; longer ones mean that the table lays out a page.
const CELL_WORDS: usize = 80;

/// Blocks of a page: scripts, menus, headers, footers, tables of contents and lists of links are
/// left out.
pub(crate) fn content(page: &str) -> Content {
    let html = Html::parse_document(page);
    let root = html.root_element();
    let mut reader = Reader::default();
    let title = root.descendent_elements().find(|e| e.value().name() == "title");
    reader.content.title = title.map(|t| collapse(&t.text().collect::<String>()));
    // Where a page names its main part, the rest is furniture.
    let main = root.descendent_elements().find(|e| e.value().name() == "main" || e.attr("role") == Some("main"));
    reader.read(main.unwrap_or(root));
    reader.content
}

#[derive(Default)]
struct Reader {
    content: Content,
    /// Text of the open paragraph, list entry or cell.
    line: String,
    /// Bytes of `line` that are bold, to find headings that are none by mark-up.
    bold: usize,
    bold_depth: usize,
    code_depth: usize,
    heading: Option<u8>,
    in_term: bool,
    term: Option<String>,
    /// The open definition is short: its term and it become one sentence.
    in_definition: bool,
    tables: Vec<Vec<Vec<Cell>>>,
    span: (usize, usize),
}

impl Reader {
    /// Walks the tree without recursion, so that no depth of nesting overflows the stack.
    fn read(&mut self, root: ElementRef) {
        use ego_tree::iter::Edge;
        let mut skip: Option<ego_tree::NodeId> = None;
        for edge in root.traverse() {
            match edge {
                Edge::Open(node) if skip.is_none() => match node.value() {
                    Node::Text(text) => self.text(text),
                    Node::Element(element) => {
                        let reference = ElementRef::wrap(node);
                        if node != *root && reference.is_none_or(|e| is_furniture(&e)) {
                            skip = Some(node.id());
                        } else if let Some(reference) = reference {
                            self.open(element, reference);
                        }
                    }
                    _ => {}
                },
                Edge::Close(node) if skip == Some(node.id()) => skip = None,
                Edge::Close(node) if skip.is_none() => {
                    if let Node::Element(element) = node.value() {
                        self.close(element.name());
                    }
                }
                _ => {}
            }
        }
        self.flush();
    }

    fn text(&mut self, text: &str) {
        let before = self.line.len();
        self.line.push_str(text);
        if self.bold_depth > 0 {
            self.bold += self.line[before..].chars().filter(|c| !c.is_whitespace()).count();
        }
    }

    fn open(&mut self, element: &Element, reference: ElementRef) {
        match element.name() {
            "b" | "strong" => self.bold_depth += 1,
            "sup" if self.line.ends_with(|c: char| c.is_ascii_digit()) => self.line.push('^'),
            "br" => self.line.push('\n'),
            name if self.in_table() => match name {
                "tr" => {
                    if let Some(table) = self.tables.last_mut() {
                        table.push(Vec::new());
                    }
                    self.line.clear();
                }
                "td" | "th" => {
                    self.line.clear();
                    self.bold = 0;
                    let count = |name| element.attr(name).and_then(|n| n.trim().parse().ok()).unwrap_or(1);
                    self.span = (count("colspan"), count("rowspan"));
                }
                name if !INLINE.contains(&name) => self.line.push(' '),
                _ => {}
            },
            "table" if is_data(reference) => {
                self.flush();
                self.tables.push(Vec::new());
            }
            "pre" => {
                self.flush();
                self.code_depth += 1;
            }
            name => {
                if let Some(level) = heading_level(name) {
                    self.flush();
                    self.heading = Some(level);
                } else if name == "dt" {
                    self.end_definition();
                    self.in_term = true;
                } else if name == "dd" && self.term.is_some() {
                    self.flush();
                    let words: usize = reference.text().map(|t| t.split_whitespace().count()).sum();
                    let plain = reference
                        .child_elements()
                        .all(|e| INLINE.contains(&e.value().name()) || e.value().name() == "p");
                    self.in_definition = words <= 25 && plain;
                    if !self.in_definition
                        && let Some(term) = &self.term
                    {
                        self.content.blocks.push(Block::Heading(LOOSE, term.clone()));
                    }
                } else if !INLINE.contains(&name) && !self.keeps_line() {
                    self.flush();
                }
            }
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "b" | "strong" => self.bold_depth = self.bold_depth.saturating_sub(1),
            "td" | "th" if self.in_table() => {
                let text = std::mem::take(&mut self.line);
                let bold = self.take_bold(&text);
                if let Some(row) = self.tables.last_mut().and_then(|table| table.last_mut()) {
                    row.push(Cell { text, header: name == "th" || bold, span: self.span });
                }
            }
            "table" if self.in_table() => {
                if let Some(rows) = self.tables.pop() {
                    self.content.blocks.extend(table::lines(&rows));
                }
                self.line.clear();
            }
            _ if self.in_table() => {}
            "pre" => {
                self.flush();
                self.code_depth = self.code_depth.saturating_sub(1);
            }
            "dt" => {
                self.in_term = false;
                self.bold = 0;
                self.term = Some(collapse(&std::mem::take(&mut self.line))).filter(|t| !t.is_empty());
            }
            "dd" => match self.term.take_if(|_| self.in_definition) {
                Some(term) => {
                    self.in_definition = false;
                    self.bold = 0;
                    let definition = std::mem::take(&mut self.line);
                    self.content.define(&term, &definition);
                }
                None => self.flush(),
            },
            "dl" => self.end_definition(),
            name if heading_level(name).is_some() => self.flush(),
            name if !INLINE.contains(&name) && !self.keeps_line() => self.flush(),
            _ => {}
        }
    }

    fn in_table(&self) -> bool {
        !self.tables.is_empty()
    }

    /// A paragraph inside a term, a heading or a short definition does not end it.
    fn keeps_line(&self) -> bool {
        self.heading.is_some() || self.in_term || self.in_definition
    }

    /// What follows is no longer said about the last term.
    fn end_definition(&mut self) {
        self.flush();
        self.in_definition = false;
        if self.term.take().is_some() {
            self.content.blocks.push(Block::Heading(LOOSE, String::new()));
        }
    }

    /// Whether all of `text` was bold; the count starts anew.
    fn take_bold(&mut self, text: &str) -> bool {
        let all = text.chars().filter(|c| !c.is_whitespace()).count();
        let bold = std::mem::take(&mut self.bold);
        bold > 0 && bold >= all
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.line);
        let bold = self.take_bold(&text);
        let heading = self.heading.take();
        if text.trim().is_empty() {
            return;
        }
        if self.code_depth > 0 {
            self.content.blocks.extend(text.lines().map(|line| Block::Line(line.to_string())));
        } else if let Some(level) = heading {
            self.content.blocks.push(Block::Heading(level, text));
        } else if bold
            && collapse(&text).split(' ').count() <= 12
            && !text.trim_end().ends_with(['.', '!', '?', ';', ':'])
        {
            self.content.blocks.push(Block::Heading(LOOSE, text));
        } else {
            self.content.blocks.push(Block::Text(text));
        }
    }
}

/// `h` alone is not in the standard, but manuals use it for invisible anchors that name a section.
fn heading_level(name: &str) -> Option<u8> {
    match name {
        "h" => Some(6),
        _ => name.strip_prefix('h').and_then(|level| level.parse().ok()).filter(|level| (1..=6).contains(level)),
    }
}

fn is_furniture(element: &ElementRef) -> bool {
    let name = element.value().name();
    if SKIPPED.contains(&name) {
        return true;
    }
    if matches!(name, "html" | "body" | "main" | "article") {
        return false;
    }
    let hidden = element.attr("hidden").is_some()
        || element.attr("aria-hidden") == Some("true")
        || element.attr("style").is_some_and(|s| s.replace(' ', "").contains("display:none"));
    if hidden && heading_level(name).is_none() {
        return true;
    }
    if matches!(element.attr("role"), Some("navigation" | "banner" | "contentinfo" | "search" | "doc-toc")) {
        return true;
    }
    // A page's own header holds its title only when a heading stands in it.
    if name == "header" && !element.descendent_elements().any(|e| heading_level(e.value().name()).is_some()) {
        return true;
    }
    let marks = element.value().classes().chain(element.value().id());
    let furniture =
        |mark: &str| mark.split(['-', '_']).any(|word| FURNITURE.contains(&word.to_ascii_lowercase().as_str()));
    if heading_level(name).is_none() && marks.into_iter().any(furniture) {
        return true;
    }
    matches!(name, "ul" | "ol" | "table") && is_menu(element)
}

/// A list or table in which four of five words are links.
fn is_menu(element: &ElementRef) -> bool {
    let words = |text: &str| text.split_whitespace().count();
    let all: usize = element.text().map(words).sum();
    let links = element.descendent_elements().filter(|e| e.value().name() == "a" && e.attr("href").is_some());
    let linked: usize = links.map(|a| a.text().map(words).sum::<usize>()).sum();
    all >= MENU_WORDS && linked * 5 >= all * 4
}

/// Whether a table holds data; otherwise it lays out a page and its cells are read like any text.
fn is_data(table: ElementRef) -> bool {
    let mut widest = 0;
    for element in table.descendent_elements().filter(|e| *e != table) {
        match element.value().name() {
            "table" | "pre" => return false,
            name if heading_level(name).is_some() => return false,
            "tr" => widest = widest.max(element.child_elements().count()),
            "td" => {
                let words: usize = element.text().map(|t| t.split_whitespace().count()).sum();
                if words > CELL_WORDS {
                    return false;
                }
            }
            _ => {}
        }
    }
    widest >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks as lines: a heading with its level in front, a single-sentence block after `|`.
    fn check(page: &str, expected: &[&str]) {
        let show = |block: &Block| match block {
            Block::Heading(level, text) => format!("{level} {}", collapse(text)),
            Block::Text(text) => collapse(text),
            Block::Line(text) => format!("| {}", collapse(text)),
        };
        let seen: Vec<String> =
            content(page).blocks.iter().map(show).filter(|b| !b.trim_end().ends_with('|')).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn furniture_is_left_out() {
        check(
            "<html class='sidebar-visible'><head><title>T</title><style>x</style></head><body>
            <header><a href=/>Logo</a></header><nav>Home</nav><div class='menu mainmenu'>M</div>
            <div id=toc_sub>1. Contents</div><h1>Pumps<a class=headerlink href=#p>¶</a></h1>
            <p>Ada <a href=x>pumps</a> 2<sup>31</sup> litres.<script>var x;</script>
            <ul><li><a href=a>One page</a><li><a href=b>Another page</a></ul>
            <p style='display: none'>hidden</p><footer>© us</footer></body></html>",
            &["1 Pumps", "Ada pumps 2^31 litres."],
        );
        check("<body><p>Before<main><p>Inside.</p></main>", &["Inside."]);
    }

    #[test]
    fn lists_tables_terms_and_code_keep_their_shape() {
        check(
            "<ol><li>One <b>bold</b>.<li><p>Two.</p></ol>
            <table><tr><th>Offset</th><th>Size</th></tr><tr><td>0</td><td>16<ul><li>x</ul></td></tr></table>
            <table><tr><td><h2>Layout</h2><p>In a cell.</td><td>More.</td></tr></table>
            <dl><dt>Skip</dt><dd>a leap</dd><dt><p><b>abs(<i>X</i>)</b></dt><dd><p>It takes X. It returns a number.</dd></dl>
            <pre>#define A 5\nint b;</pre><p><b>MAX_SIZE</b></p><p>Its limit.</p>",
            &[
                "One bold.",
                "Two.",
                "| Offset: 0; Size: 16 x",
                "2 Layout",
                "In a cell.",
                "More.",
                "| Skip: a leap",
                "7 abs(X)",
                "It takes X. It returns a number.",
                "7 ",
                "| #define A 5",
                "| int b;",
                "7 MAX_SIZE",
                "Its limit.",
            ],
        );
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let page = format!("{}deep{}", "<div>".repeat(5_000), "</div>".repeat(5_000));
        check(&page, &["deep"]);
    }
}
