//! Writes every picture, as SVG and PNG, and a fragment of HTML, to a folder:
//! `cargo run --release -p plot --example gallery -- FOLDER`.

#[path = "../tests/plot/sample.rs"]
#[allow(dead_code)]
mod sample;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: gallery FOLDER")?);
    fs::create_dir_all(&folder)?;
    for (name, figure) in sample::gallery() {
        fs::write(folder.join(format!("{name}.svg")), figure.svg())?;
        fs::write(folder.join(format!("{name}.png")), figure.png(1360)?)?;
    }
    fs::write(folder.join("salience.html"), plot::salience_html(&sample::text())?)?;
    Ok(())
}
