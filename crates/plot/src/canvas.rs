//! Shapes and texts, written down as SVG while they are drawn.

use std::fmt::{Display, Write};

use crate::font;

/// Width of every picture, in its own pixels.
pub(crate) const WIDTH: f64 = 680.0;
/// Space around a picture.
pub(crate) const EDGE: f64 = 14.0;
/// Size of letters, by class.
const SIZES: [(&str, f64); 2] = [("head", 16.0), ("small", 12.0)];

/// Where a text ends up: its place is its beginning, its middle or its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A place in a drawing, as short as a hundredth of a pixel needs.
struct Place(f64);

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let text = format!("{:.2}", self.0);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

/// A drawing that grows downwards: what is drawn later lies above.
#[derive(Debug, Default)]
pub(crate) struct Canvas {
    pub body: String,
}

impl Canvas {
    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(Place);
        self.push(format_args!(r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#));
    }

    /// A rectangle with round corners; `said` is shown where a pointer rests, if there is anything to say.
    pub fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), round: f64, said: &str) {
        let [x, y, width, height, round] = [x, y, width, height, round].map(Place);
        let shape = format!(r#"rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}""#);
        self.shape(&shape, "rect", said);
    }

    pub fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64, said: &str) {
        let [x, y, radius] = [x, y, radius].map(Place);
        self.shape(&format!(r#"circle class="{class}" cx="{x}" cy="{y}" r="{radius}""#), "circle", said);
    }

    /// A mark of a series: each has a form of its own, for those who do not see its colour.
    pub fn mark(&mut self, class: &str, series: usize, (x, y): (f64, f64), size: f64, said: &str) {
        let corners: &[(f64, f64)] = match series % 6 {
            0 => return self.circle(class, (x, y), size, said),
            1 => &[(0.0, -1.35), (1.35, 0.0), (0.0, 1.35), (-1.35, 0.0)],
            2 => &[(-0.95, -0.95), (0.95, -0.95), (0.95, 0.95), (-0.95, 0.95)],
            3 => &[(0.0, -1.25), (1.2, 0.95), (-1.2, 0.95)],
            4 => &[(0.0, 1.25), (1.2, -0.95), (-1.2, -0.95)],
            _ => &[(-1.3, -0.5), (1.3, -0.5), (1.3, 0.5), (-1.3, 0.5)],
        };
        let points: Vec<_> = corners.iter().map(|(dx, dy)| (x + dx * size, y + dy * size)).collect();
        self.shape(&format!(r#"path class="{class}" d="{}Z""#, trace(&points)), "path", said);
    }

    /// A line through points.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.len() > 1 {
            self.push(format_args!(r#"<path class="{class}" d="{}"/>"#, trace(points)));
        }
    }

    /// The area between a lower and an upper edge, both from left to right.
    pub fn area(&mut self, class: &str, low: &[(f64, f64)], high: &[(f64, f64)]) {
        if low.len() > 1 {
            let around: Vec<_> = high.iter().chain(low.iter().rev()).copied().collect();
            self.push(format_args!(r#"<path class="{class}" d="{}Z"/>"#, trace(&around)));
        }
    }

    /// A text whose letters stand on y.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let (x, y, text) = (Place(x), Place(y), escape(text));
        self.push(format_args!(r#"<text class="{class}" x="{x}" y="{y}"{anchor}>{text}</text>"#));
    }

    /// A word that takes exactly this width, whatever the reader's font is.
    pub fn word(&mut self, class: &str, (x, y): (f64, f64), text: &str, length: f64) {
        let (x, y, length, text) = (Place(x), Place(y), Place(length), escape(text));
        self.push(format_args!(
            r#"<text class="{class}" x="{x}" y="{y}" textLength="{length}" lengthAdjust="spacingAndGlyphs">{text}</text>"#
        ));
    }

    /// A text of at most this width; the whole of it is shown where a pointer rests.
    pub fn label(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str, most: f64) {
        let clean = clean(text);
        let short = font::fit(&clean, most, size(class), class.contains("strong"));
        if short == clean {
            return self.text(class, (x, y), anchor, &short);
        }
        self.push(format_args!("<g><title>{}</title>", escape(text)));
        self.text(class, (x, y), anchor, &short);
        self.push(format_args!("</g>"));
    }

    fn shape(&mut self, shape: &str, name: &str, said: &str) {
        if said.is_empty() {
            self.push(format_args!("<{shape}/>"));
        } else {
            self.push(format_args!("<{shape}><title>{}</title></{name}>", escape(said)));
        }
    }

    fn push(&mut self, what: std::fmt::Arguments) {
        // Writing into a string does not fail.
        let _ = self.body.write_fmt(what);
        self.body.push('\n');
    }
}

/// Size of a class's letters.
pub(crate) fn size(class: &str) -> f64 {
    SIZES.iter().find(|(name, _)| class.split(' ').any(|part| part == *name)).map_or(13.0, |(_, size)| *size)
}

/// Width of a text of this class.
pub(crate) fn width(class: &str, text: &str) -> f64 {
    font::width(text, size(class), class.contains("strong") || class.contains("head"))
}

fn trace(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let _ = write!(d, "{}{} {}", if at == 0 { "M" } else { "L" }, Place(*x), Place(*y));
    }
    d
}

/// Without what XML does not allow and what turns the direction of writing.
pub(crate) fn clean(text: &str) -> String {
    let odd = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control() && !odd(*c)).collect()
}

/// As text of XML, wherever it stands.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_stay_texts() {
        let mut canvas = Canvas::default();
        let hostile = "</text><script>alert(\"1\")</script>\u{0}\u{1b}\u{202e}&'\n\u{ffff}";
        canvas.text("f-ink", (1.0, 2.004), Anchor::End, hostile);
        canvas.label("f-ink", (1.0, 2.0), Anchor::Start, hostile, 60.0);
        canvas.circle("f-ink", (-0.001, 2.5), 3.0, hostile);
        assert!(
            !canvas.body.contains("<script") && !canvas.body.contains('\u{202e}') && !canvas.body.contains('\u{1b}')
        );
        assert!(canvas.body.starts_with(
            r#"<text class="f-ink" x="1" y="2" text-anchor="end">&lt;/text&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39; </text>"#
        ));
        assert!(canvas.body.contains(r#"cx="0" cy="2.5""#) && canvas.body.contains("<g><title>&lt;/text"));
    }
}
