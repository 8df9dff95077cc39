use crate::outline::{Block, collapse};

/// A cell as the format's reader found it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    /// Its text.
    pub text: String,
    /// Marked as a heading of its column or row.
    pub header: bool,
    /// Columns and rows that it covers, from 1.
    pub span: (usize, usize),
}

/// Turns rows of cells into one line a row. Cells that cover several places are repeated there, the
/// rows at the top in which every cell is a heading name the columns.
pub(crate) fn lines(rows: &[Vec<Cell>]) -> Vec<Block> {
    let grid = spread(rows);
    let heads = grid.iter().take_while(|row| !row.is_empty() && row.iter().all(|c| c.header)).count();
    // A table of nothing but headings has lost its data cells' marks, not its data.
    let heads = if heads == grid.len() { 0 } else { heads };
    let columns = grid.iter().map(Vec::len).max().unwrap_or(0);
    let header = |column: usize| {
        let mut words: Vec<String> = Vec::new();
        for row in &grid[..heads] {
            let text = row.get(column).map(|c| clean_header(&c.text)).unwrap_or_default();
            if !text.is_empty() && words.last() != Some(&text) {
                words.push(text);
            }
        }
        words.join(" ")
    };
    let headers: Vec<String> = (0..columns).map(header).collect();
    grid[heads..].iter().filter_map(|row| line(row, &headers)).map(Block::Line).collect()
}

fn line(row: &[Cell], headers: &[String]) -> Option<String> {
    let named = headers.iter().any(|h| !h.is_empty());
    let cells: Vec<(&str, String)> =
        row.iter().zip(headers).map(|(cell, header)| (header.as_str(), clean_cell(&cell.text))).collect();
    let filled = || cells.iter().filter(|(_, text)| !text.is_empty());
    match filled().count() {
        0 => None,
        // A table of two columns without headings says `term: definition`.
        2 if !named && row.len() == 2 => Some(format!("{}: {}", clean_header(&cells[0].1), cells[1].1)),
        _ => {
            let parts = filled().map(|(header, text)| match *header {
                "" => text.clone(),
                header => format!("{header}: {text}"),
            });
            Some(parts.collect::<Vec<_>>().join("; "))
        }
    }
}

fn clean_cell(text: &str) -> String {
    collapse(text).replace("; ", ", ")
}

fn clean_header(text: &str) -> String {
    collapse(text).trim_end_matches(':').replace(": ", " ").replace("; ", ", ")
}

/// Repeats cells over the columns and rows that they cover.
fn spread(rows: &[Vec<Cell>]) -> Vec<Vec<Cell>> {
    let mut grid: Vec<Vec<Cell>> = Vec::new();
    // Per column: a cell from above, and for how many more rows it stands.
    let mut hanging: Vec<Option<(Cell, usize)>> = Vec::new();
    for row in rows {
        let mut out: Vec<Cell> = Vec::new();
        let mut own = row.iter();
        loop {
            if let Some(Some((cell, left))) = hanging.get_mut(out.len()).map(|h| h.as_mut()) {
                out.push(cell.clone());
                *left -= 1;
                if *left == 0 {
                    let at = out.len() - 1;
                    hanging[at] = None;
                }
                continue;
            }
            let Some(cell) = own.next() else { break };
            // A span larger than this is a mistake or an attack, not a table.
            for _ in 0..cell.span.0.clamp(1, 64) {
                if cell.span.1 > 1 {
                    hanging.resize_with(hanging.len().max(out.len() + 1), || None);
                    hanging[out.len()] = Some((cell.clone(), cell.span.1.min(1000) - 1));
                }
                out.push(cell.clone());
            }
        }
        grid.push(out);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[&[&str]], expected: &[&str]) {
        // `#` marks a heading, `|2` a cell two rows high, `>2` one two columns wide.
        let cell = |text: &&str| {
            let (text, high) = text.strip_suffix("|2").map_or((*text, 1), |t| (t, 2));
            let (text, wide) = text.strip_suffix(">2").map_or((text, 1), |t| (t, 2));
            let (text, header) = text.strip_prefix('#').map_or((text, false), |t| (t, true));
            Cell { text: text.into(), header, span: (wide, high) }
        };
        let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let expected: Vec<Block> = expected.iter().map(|line| Block::Line(line.to_string())).collect();
        assert_eq!(lines(&rows), expected);
    }

    #[test]
    fn rows_carry_their_headers() {
        check(&[&["#Set", "#Output"], &["G1", "120 kW"], &["G2", ""]], &["Set: G1; Output: 120 kW", "Set: G2"]);
        check(&[&["#", "#Output"], &["G1", "120 kW"]], &["G1; Output: 120 kW"]);
        check(&[&["#Name: full", "#Use"], &["a; b", "c"]], &["Name full: a, b; Use: c"]);
        check(&[&["BINARY", "compares bytes"]], &["BINARY: compares bytes"]);
    }

    #[test]
    fn spans_are_spread() {
        check(
            &[&["#Type|2", "#In>2"], &["#Leaf", "#Inner"], &["int", "yes", "no"]],
            &["Type: int; In Leaf: yes; In Inner: no"],
        );
        check(&[&["#A", "#B"], &["x|2", "1"], &["2"]], &["A: x; B: 1", "A: x; B: 2"]);
    }
}
