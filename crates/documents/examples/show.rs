//! Prints a folder as it is read: `cargo run --release -p documents --example show FOLDER [ID]`.

use std::path::Path;

fn main() -> Result<(), documents::Error> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().unwrap_or_else(|| ".".into());
    let root = Path::new(&root);
    let wanted = arguments.next();
    for id in documents::list(root)? {
        if wanted.as_ref().is_some_and(|w| *w != id) {
            continue;
        }
        match documents::read(root, &id, &documents::Config::default()) {
            Err(error) => println!("{id}: {error}"),
            Ok(document) if wanted.is_none() => {
                let sentences: usize = document.chunks.iter().map(|c| c.sentences.len()).sum();
                println!("{id}: {:?}, {} chunks, {sentences} sentences", document.title, document.chunks.len());
            }
            Ok(document) => {
                for chunk in &document.chunks {
                    println!("\n[{}] {}", chunk.id, chunk.headings.join(" > "));
                    chunk.sentences.iter().for_each(|s| println!("{:5} {}", s.number, s.text));
                }
            }
        }
    }
    Ok(())
}
