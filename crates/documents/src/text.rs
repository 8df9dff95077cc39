use crate::outline::{Block, Content};

/// Blocks of plain text: paragraphs between blank lines, list entries, underlined and short
/// capitalised headings.
pub(crate) fn content(text: &str) -> Content {
    let mut content = Content::default();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut paragraph = String::new();
    let mut index = 0;
    while index < lines.len() {
        let line = lines[index].trim_start().trim_start_matches('\u{feff}');
        let alone = paragraph.is_empty() && lines.get(index + 1).is_none_or(|next| next.trim().is_empty());
        if let Some(level) =
            lines.get(index + 1).and_then(|next| underline(line, next)).filter(|_| paragraph.is_empty())
        {
            content.blocks.push(Block::Heading(level, line.to_string()));
            index += 2;
            continue;
        }
        if line.is_empty() || is_rule(line) {
            flush(&mut paragraph, &mut content);
        } else if alone && is_heading(line) {
            content.blocks.push(Block::Heading(2, line.to_string()));
        } else {
            if let Some(entry) = bullet(line) {
                flush(&mut paragraph, &mut content);
                paragraph.push_str(entry);
            } else {
                paragraph.push_str(line);
            }
            paragraph.push(' ');
        }
        index += 1;
    }
    flush(&mut paragraph, &mut content);
    content
}

fn flush(paragraph: &mut String, content: &mut Content) {
    if !paragraph.trim().is_empty() {
        content.blocks.push(Block::Text(std::mem::take(paragraph)));
    }
    paragraph.clear();
}

/// The heading level if `next` underlines `line`.
fn underline(line: &str, next: &str) -> Option<u8> {
    let next = next.trim();
    let drawn = |mark: char| next.len() >= 3 && next.len() + 2 >= line.len() && next.chars().all(|c| c == mark);
    match line {
        "" => None,
        _ if drawn('=') => Some(1),
        _ if drawn('-') || drawn('~') => Some(2),
        _ => None,
    }
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.chars().all(|c| "-=*_~#".contains(c))
}

/// A line alone that is numbered like a section, or all in capitals.
fn is_heading(line: &str) -> bool {
    let words = line.split_whitespace().count();
    if words > 10 || line.ends_with(['.', '!', '?', ':', ';', ',']) {
        return false;
    }
    let shouted = line.chars().filter(|c| c.is_alphabetic()).count() >= 3 && !line.chars().any(char::is_lowercase);
    let numbered = line.split_once(' ').is_some_and(|(number, rest)| {
        number.chars().all(|c| c.is_ascii_digit() || c == '.')
            && number.starts_with(|c: char| c.is_ascii_digit())
            && rest.trim_start().starts_with(char::is_uppercase)
    });
    shouted || numbered
}

/// The text of a list entry without its mark.
fn bullet(line: &str) -> Option<&str> {
    let marked = ["- ", "* ", "+ ", "• ", "– "].iter().find_map(|mark| line.strip_prefix(mark));
    marked.or_else(|| {
        let (number, rest) = line.split_once([')', '.'])?;
        let short = (1..=3).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit());
        rest.strip_prefix(' ').filter(|_| short)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_lists_and_headings_are_told_apart() {
        let text = "Manual\r\n======\r\nFirst line\r\ngoes on.\r\n\r\nPUMPS\r\n\r\n- Ada\r\n- Bea,\r\n  the second\r\n1. Start.\r\n\r\n2.1 The Valve\r\n\r\nNot A Heading.\r\n";
        let heading = |level, text: &str| Block::Heading(level, text.into());
        let plain = |text: &str| Block::Text(text.into());
        assert_eq!(
            content(text).blocks,
            [
                heading(1, "Manual"),
                plain("First line goes on. "),
                heading(2, "PUMPS"),
                plain("Ada "),
                plain("Bea, the second "),
                plain("Start. "),
                heading(2, "2.1 The Valve"),
                plain("Not A Heading. "),
            ]
        );
    }
}
