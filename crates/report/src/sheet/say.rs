use super::{Sheet, Table};
use crate::number::count;

/// Rows of a table that a terminal is given.
const ROWS: usize = 12;

/// The sheet in plain lines for a terminal: Markdown whose columns stand below each other. Control
/// characters in names that came from outside are left out.
pub fn sheet_text(sheet: &Sheet) -> String {
    let mut lines = vec![sheet.headline.clone()];
    if !sheet.read.is_empty() {
        let read: Vec<_> = sheet.read.iter().map(|(number, noun)| format!("{} {noun}", count(*number))).collect();
        lines.push(format!("read: {}", read.join(", ")));
    }
    lines.extend(sheet.notes.iter().map(|note| format!("note: {note}")));
    for section in &sheet.sections {
        lines.push(String::new());
        lines.push(format!("## {}", section.heading));
        lines.extend(section.text.iter().cloned());
        if let Some(table) = section.table.as_ref().filter(|table| !table.columns.is_empty()) {
            lines.push(String::new());
            lines.extend(rows(table));
        }
    }
    lines.iter().map(|line| clean(line)).collect::<Vec<_>>().join("\n")
}

/// The first rows as Markdown, numbers to the right.
fn rows(table: &Table) -> Vec<String> {
    let shown = table.rows.len().min(ROWS);
    let clean_row = |row: &Vec<String>| row.iter().map(|cell| clean(cell).replace('|', "¦")).collect::<Vec<_>>();
    let head = clean_row(&table.columns);
    let body: Vec<Vec<String>> = table.rows[..shown].iter().map(clean_row).collect();
    let numbers: Vec<bool> = (0..head.len()).map(|column| table.is_number(column)).collect();
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let width = |column: usize| {
        let wide = |row: &Vec<String>| cell(row, column).chars().count();
        body.iter().chain([&head]).map(wide).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = (0..head.len()).map(|column| match (widths[column], numbers[column]) {
            (width, true) => format!(" {:>width$} |", cell(row, column)),
            (width, false) => format!(" {:<width$} |", cell(row, column)),
        });
        format!("|{}", cells.collect::<String>())
    };
    let rule = (0..head.len()).map(|column| match (widths[column], numbers[column]) {
        (width, true) => format!("{}:|", "-".repeat(width + 1)),
        (width, false) => format!("{}|", "-".repeat(width + 2)),
    });
    let mut lines = vec![line(&head), format!("|{}", rule.collect::<String>())];
    lines.extend(body.iter().map(|row| line(row)));
    lines.extend(table.rest(shown).map(|rest| format!("({rest})")));
    lines
}

fn clean(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect::<String>().replace('\u{a0}', " ")
}

#[cfg(test)]
mod tests {
    use super::super::Section;
    use super::*;

    #[test]
    fn columns_stand_below_each_other_and_nothing_moves_the_cursor() {
        let rows = vec![
            vec!["alpha\u{1b}[2J".to_string(), "−1.25".to_string()],
            vec!["a|b".to_string(), "12.00".to_string()],
            vec!["short".to_string()],
        ];
        let mut sheet = Sheet::new("exam", "Two models differ by 5 points (n = 40, 95 % interval 1 to 9).");
        sheet.read = vec![(12_000, "responses".into())];
        sheet.notes.push("one line was broken".into());
        sheet.sections.push(Section::new("Persons").text("In order.").table(Table::new(["who", "ability"], rows)));
        let said = sheet_text(&sheet);
        let expected = "Two models differ by 5 points (n = 40, 95 % interval 1 to 9).\n\
                        read: 12,000 responses\n\
                        note: one line was broken\n\n\
                        ## Persons\n\
                        In order.\n\n\
                        | who      | ability |\n\
                        |----------|--------:|\n\
                        | alpha[2J |   −1.25 |\n\
                        | a¦b      |   12.00 |\n\
                        | short    |         |";
        assert_eq!(said, expected);
    }

    #[test]
    fn long_tables_end_with_where_the_rest_is() {
        let rows = (0..40).map(|at| vec![at.to_string()]).collect();
        let mut sheet = Sheet::new("exam", "h");
        sheet.sections.push(Section::new("Items").table(Table::new(["item"], rows).file("items.csv")));
        let said = sheet_text(&sheet);
        assert!(said.ends_with("|   11 |\n(28 more rows; all stand in items.csv)"), "{said}");
    }
}
