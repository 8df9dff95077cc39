use maud::{Markup, PreEscaped, html};

use super::{Section, Sheet, Table};
use crate::number::count;
use crate::page::shell;
use crate::section;

/// Draws the sheet as one HTML file that needs nothing else.
pub fn sheet_page(sheet: &Sheet) -> String {
    let body = html! {
        header {
            p.kicker { span.said { (sheet.title) } }
            h1.said { (sheet.headline) }
            @if !sheet.read.is_empty() {
                div.tiles {
                    @for (number, noun) in &sheet.read { div.tile { b { (count(*number)) } span { (noun) } } }
                }
            }
            @for note in &sheet.notes { p.note { b { "Note. " } span.said { (note) } } }
        }
        main { @for section in &sheet.sections { (draw(section)) } @if let Some(manifest) = &sheet.manifest { (section::manifest(manifest)) } }
        footer { p { "This page is one file: it loads nothing and sends nothing." } }
    };
    shell(&sheet.title, body)
}

fn draw(section: &Section) -> Markup {
    html! {
        section {
            h2.said { (section.heading) }
            @for paragraph in &section.text { p.said { (paragraph) } }
            @if let Some(figure) = &section.figure {
                figure.plate {
                    div.scroll tabindex="0" { (PreEscaped(figure)) }
                    @if !section.caption.is_empty() { figcaption.said { (section.caption) } }
                }
            }
            @if let Some(table) = &section.table { (rows(table)) }
        }
    }
}

/// The first rows open, the others folded, so that a page of a thousand items can be read.
fn rows(table: &Table) -> Markup {
    let numbers: Vec<bool> = (0..table.columns.len()).map(|column| table.is_number(column)).collect();
    let shown = &table.rows[..table.rows.len() - table.hidden()];
    // A fold for a row or two is more trouble than the rows.
    let open = if shown.len() <= Table::OPEN + 4 { shown.len() } else { Table::OPEN };
    let part = |rows: &[Vec<String>]| {
        html! {
            div.scroll tabindex="0" {
                table.sheet {
                    thead { tr { @for (name, number) in table.columns.iter().zip(&numbers) {
                        th.number[*number] scope="col" { span.said { (name) } }
                    } } }
                    tbody { @for row in rows { tr { @for (cell, number) in row.iter().zip(&numbers) {
                        td.number[*number] { span.said { (cell) } }
                    } } } }
                }
            }
        }
    };
    html! {
        @if !table.columns.is_empty() {
            (part(&shown[..open]))
            @if open < shown.len() {
                details { summary { "The other " (count((shown.len() - open) as u64)) " rows" } (part(&shown[open..])) }
            }
            @if let Some(rest) = table.rest(shown.len()) { p.small { (rest) "." } }
            @else if let Some(file) = &table.file { p.small { "The same as a file: " span.said { (file) } "." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_tables_are_folded_then_cut_and_say_where_the_rest_is() {
        let rows = |n: usize| (0..n).map(|at| vec![format!("item {at}"), format!("{at}.5")]).collect();
        let page = |n: usize| {
            let table = Table::new(["item", "measure"], rows(n)).file("items.csv");
            let mut sheet = Sheet::new("t", "h");
            sheet.sections.push(Section::new("Items").table(table));
            sheet_page(&sheet)
        };
        let (short, long) = (page(20), page(1500));
        assert!(!short.contains("<details>") && short.matches("<tr>").count() == 21);
        assert!(long.contains("The other 984 rows") && long.contains("500 more rows; all stand in items.csv."));
        assert_eq!(long.matches("<tr>").count(), 1002);
        let cell = |text: &str| long.split("<td").find(|cell| cell.contains(text)).unwrap_or_default().to_string();
        assert!(cell(">7.5<").contains("number") && !cell(">item 7<").contains("number"));
    }

    #[test]
    fn a_column_with_one_word_in_it_is_no_column_of_numbers() {
        let cells = |cells: [&str; 3]| Table::new(["x"], cells.map(|cell| vec![cell.to_string()]).to_vec());
        for numbers in [["1", "−2.5 [−3, −2]", "—"], ["[0.1, 0.2]", "", "< 0.001"], ["12 %", "+3", "×2"]] {
            assert!(cells(numbers).is_number(0), "{numbers:?}");
        }
        for words in [["1", "2", "mmlu"], ["", "—", ""], ["A", "B", "C"]] {
            assert!(!cells(words).is_number(0), "{words:?}");
        }
    }
}
