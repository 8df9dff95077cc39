//! The hand-written bank of the station handbook: it can be used, and an open book opens at the
//! right page.

use std::path::Path;

use exam::{normalise, read_bank};
use rag::Retriever;

#[test]
fn the_passages_of_an_open_book_hold_the_answer() {
    let station = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/station");
    let items = read_bank(&station.join("bank.jsonl")).expect("a valid bank");
    let root = station.join("handbook");
    let chunks = documents::list(&root)
        .expect("list")
        .iter()
        .flat_map(|id| documents::read(&root, id, &documents::Config::default()).expect("read").chunks)
        .collect();
    let book = Retriever::new(chunks, rag::Config::default());
    let mut found = 0;
    for item in &items {
        let passages = book.passages(&item.question);
        let text: String = passages.iter().map(|passage| format!(" {} ", normalise(&passage.text))).collect();
        // Whole words: `9` is not found in `19`.
        let held = item.answers.iter().any(|answer| text.contains(&format!(" {} ", normalise(answer))));
        found += usize::from(held);
    }
    let share = found as f64 / items.len() as f64;
    println!("{found} of {}", items.len());
    // 300 when this was written; most of the others ask for a row of a long table.
    assert!(share >= 0.88, "{found} of {}", items.len());
}
