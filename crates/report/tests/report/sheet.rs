//! The page of an examination with hostile names, a wide figure, and a table wider than a phone.

use report::{Section, Sheet, Table, sheet_page, sheet_text};

use crate::sample::HOSTILE;

pub fn sheet() -> Sheet {
    let mut sheet = Sheet::new("Hall exam", "Nine of twelve models can be told apart (n = 300 items).");
    sheet.read = vec![(12, "persons".into()), (300, "items".into()), (1_234_567, "responses".into())];
    sheet.notes.push(format!("7 lines were set aside: {HOSTILE}"));
    let columns =
        ["person", "ability", "standard error", "95 % interval", "infit", "outfit", "t", "raw score", "n", "why"];
    let row = |at: usize| {
        let interval = format!("[{}.12, {}.91]", at % 5, at % 5 + 1);
        let numbers = ["−1.25", "0.31", &interval, "1.02", "0.97", "−0.4", "0.61", "300"];
        let name =
            if at == 3 { HOSTILE.to_string() } else { format!("organisation/model-with-a-long-name-{at}-instruct") };
        let why = if at == 4 { "answered all items alike, so it has no finite estimate" } else { "" };
        [vec![name], numbers.map(String::from).to_vec(), vec![why.into()]].concat()
    };
    let svg = r#"<svg viewBox="0 0 720 200" role="img"><rect x="0" y="0" width="720" height="200" fill="none" stroke="currentColor"/></svg>"#;
    sheet.sections.push(
        Section::new("Abilities")
            .text("Each model is a person. One unit is one logit.")
            .figure(svg, format!("Persons left, items right; n = 12 × 300. {HOSTILE}"))
            .table(Table::new(columns, (0..60).map(row).collect()).file("persons.csv")),
    );
    sheet.sections.push(Section::new(HOSTILE).text(HOSTILE));
    sheet
}

#[test]
fn names_from_logs_are_shown_as_text() {
    let page = sheet_page(&sheet());
    assert!(!page.contains("<script") && !page.contains("<img") && page.contains("default-src 'none'"));
    assert_eq!(page.matches("&lt;script&gt;document.title='hacked'").count(), 5);
    assert!(page.contains(r#"<svg viewBox="0 0 720 200""#) && page.contains("1,234,567"));
    assert!(!sheet_text(&sheet()).contains('\u{1b}'));
}

#[test]
fn a_sheet_comes_back_from_json_and_draws_the_same_page() {
    let json = serde_json::to_string(&sheet()).expect("encode");
    let back: Sheet = serde_json::from_str(&json).expect("decode");
    assert_eq!(sheet_page(&back), sheet_page(&sheet()));
}
