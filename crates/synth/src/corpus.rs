//! Documents for this crate's tests.

use record::{Chunk, Document, Fact, Format, Sentence};

use crate::Config;

/// A document from lines: `# heading` opens a passage, every other line is a sentence.
pub(crate) fn document(id: &str, text: &str) -> Document {
    let mut chunks =
        vec![Chunk { id: format!("{id}#0"), document: id.into(), headings: Vec::new(), sentences: Vec::new() }];
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut number = 0;
    for line in lines {
        if let Some(heading) = line.strip_prefix("# ") {
            let headings = vec![heading.to_string()];
            chunks.push(Chunk {
                id: format!("{id}#{}", chunks.len()),
                document: id.into(),
                headings,
                sentences: Vec::new(),
            });
        } else if let Some(chunk) = chunks.last_mut() {
            number += 1;
            chunk.sentences.push(Sentence { number, text: line.into() });
        }
    }
    Document {
        id: id.into(),
        title: "Manual".into(),
        sha256: String::new(),
        bytes: text.len() as u64,
        format: Format::Text,
        encoding: "UTF-8".into(),
        chunks,
    }
}

/// A manual of invented machines, with one sentence or table for each way of saying something.
pub(crate) const MANUAL: &str = "
    # The mill
    The great bell of Orrin Mill is called Dame Tansy.
    Dame Tansy was cast in 1731 and weighs 85 kilograms.
    Dame Tansy is made of bell bronze.
    The mill wheel is 7.5 metres wide.
    The wheel house stands beside the salt pond.
    The spare millstones are kept in the lower vault.
    Each millstone turns at 62 turns per minute, and the miller listens.
    The flour store holds 3,400 kilograms of rye.
    The head miller is Corvin Ashgrove.
    Petra Lindqvist, the bookkeeper, counts the sacks.
    Petra Lindqvist edits the almanac of the mill.
    The sluice gate opens at 05:30 and closes at sunset.
    The oil of the main bearing is changed every 40 days.
    Opening hours run from 09:00 to 16:30.
    The tower has 118 steps.
    There are 24 lanterns along the mill race.
    The door of the granary is painted green.
    The governor of the turbine defaults to 450 hertz.
    To stop the main shaft, pull the brass lever and hold it for 9 seconds.
    To reach the watch room, dial 417.
    # Words of the trade
    Damsel: the rod that shakes the grain
    Hurst: the frame under the stones
    # Boats
    Name: Gull; Berth: K-4; Built: 1968; Hull: red
    Name: Tern; Berth: K-9; Built: 1975; Hull: blue
    Name: Petrel; Berth: L-2; Built: 1990; Hull: white
    # Faults
    Code: W-12; Meaning: low water
    Code: W-19; Meaning: jammed gate
    # MILL_TRACE
    This macro was added in Grist version 2.14.0 (2019-03-08).
    The default setting for MILL_LIMIT is 6400.
    #define MILL_JAM 37 /* The wheel cannot turn freely */
    #define MILL_DRY 52 /* The race holds no water */
";

/// The facts of a document under the default settings.
pub(crate) fn facts(text: &str) -> Vec<Fact> {
    crate::facts(&document("manual.md", text), &Config::default())
}
