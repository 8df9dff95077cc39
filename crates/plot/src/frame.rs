//! Two axes with their round numbers, and keys.

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, width};
use crate::scale::Scale;

/// A field between two scales.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub x: Scale,
    pub y: Scale,
}

impl Frame {
    /// Place of a point.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.at(x), self.y.at(y))
    }

    /// Left, top, right, bottom in pixels.
    pub fn area(&self) -> (f64, f64, f64, f64) {
        (self.x.from, self.y.to, self.x.to, self.y.from)
    }

    /// Lines of the grid, numbers along both axes, the title of x below and that of y above.
    pub fn draw(&self, canvas: &mut Canvas, x_title: &str, y_title: &str) {
        self.draw_open(canvas, y_title);
        self.below(canvas, x_title);
    }

    /// The same without numbers along x, for a field above another one of the same x.
    pub fn draw_open(&self, canvas: &mut Canvas, y_title: &str) {
        let (left, top, right, bottom) = self.area();
        for (tick, _) in self.x.ticks() {
            canvas.line("w1 s-grid", (self.x.at(tick), top), (self.x.at(tick), bottom));
        }
        for (tick, text) in self.y.ticks() {
            let y = self.y.at(tick);
            canvas.line("w1 s-grid", (left, y), (right, y));
            canvas.text("small f-quiet", (left - 8.0, y + 4.0), Anchor::End, &text);
        }
        canvas.label("small f-quiet", (EDGE, top - 10.0), Anchor::Start, y_title, right - EDGE);
    }

    /// What stands below the x axis: numbers and title.
    pub fn below(&self, canvas: &mut Canvas, x_title: &str) {
        let (left, _, right, bottom) = self.area();
        let mut written = f64::NEG_INFINITY;
        for (tick, text) in self.x.ticks() {
            let (x, half) = (self.x.at(tick), 0.5 * width("small", &text));
            if x - half > written + 6.0 {
                canvas.text("small f-quiet", (x, bottom + 17.0), Anchor::Middle, &text);
                written = x + half;
            }
        }
        canvas.label("small f-quiet", (0.5 * (left + right), bottom + 36.0), Anchor::Middle, x_title, right - left);
    }

    /// Bottom of the axis' title.
    pub fn bottom(&self) -> f64 {
        self.y.from + 42.0
    }
}

/// Room that the numbers of a y axis need at its left.
pub(crate) fn margin(y: &Scale) -> f64 {
    let widest = y.ticks().iter().map(|tick| width("small", &tick.1)).fold(0.0, f64::max);
    EDGE + widest + 10.0
}

/// How a key looks.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    /// A mark of a series.
    Mark { class: String, series: usize },
    /// A line.
    Line(String),
    /// A patch of colour.
    Patch(String),
}

/// Keys in rows from the left; gives the bottom of the last row.
pub(crate) fn legend(canvas: &mut Canvas, top: f64, keys: &[(Key, String)]) -> f64 {
    let (mut x, mut y) = (EDGE, top + 14.0);
    for (key, text) in keys {
        let most = WIDTH - 2.0 * EDGE - 30.0;
        let wide = 24.0 + width("small", text).min(most);
        if x > EDGE && x + wide > WIDTH - EDGE {
            (x, y) = (EDGE, y + 20.0);
        }
        match key {
            Key::Mark { class, series } => canvas.mark(class, *series, (x + 8.0, y - 4.0), 4.5, ""),
            Key::Line(class) => canvas.line(class, (x, y - 4.0), (x + 18.0, y - 4.0)),
            Key::Patch(class) => canvas.rect(class, (x + 2.0, y - 10.0), (12.0, 12.0), 2.0, ""),
        }
        canvas.label("small f-quiet", (x + 23.0, y), Anchor::Start, text, most);
        x += wide + 18.0;
    }
    if keys.is_empty() { top } else { y + 8.0 }
}
