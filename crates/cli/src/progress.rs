use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use run::Event;

use crate::args::Shared;

/// Shows events: a bar on a terminal, plain lines when piped, JSON lines with `--json`.
#[derive(Clone)]
pub struct Progress {
    kind: Kind,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bar,
    Lines,
    Json,
    Quiet,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    name: String,
    last_line: Option<Instant>,
}

/// Plain lines come no more often than this.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    /// Chooses by flags and by whether standard error is a terminal.
    pub fn new(shared: &Shared) -> Self {
        let kind = match (shared.quiet, shared.json, std::io::stderr().is_terminal()) {
            (true, ..) => Kind::Quiet,
            (_, true, _) => Kind::Json,
            (_, _, true) => Kind::Bar,
            _ => Kind::Lines,
        };
        Self { kind, state: Arc::default() }
    }

    /// Shows one event.
    pub fn show(&self, event: &Event) {
        match self.kind {
            Kind::Quiet => {}
            Kind::Json => {
                if let Ok(line) = serde_json::to_string(event) {
                    println!("{line}");
                }
            }
            Kind::Lines => self.line(event),
            Kind::Bar => self.bar(event),
        }
    }

    /// Takes the bar off the terminal.
    pub fn clear(&self) {
        if let Some(bar) = self.state().bar.take() {
            bar.finish_and_clear();
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::Stage { stage, shards, done } => {
                state.last_line = Some(Instant::now());
                let kept = if *done > 0 { format!(" ({done} of {shards} shards kept)") } else { String::new() };
                eprintln!("{stage}{kept} …");
            }
            Event::Progress { stage, done, total, detail } => {
                if state.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
                    state.last_line = Some(Instant::now());
                    eprintln!("{stage}: {done} of {total} {detail}");
                }
            }
            Event::Finished { .. } | Event::Note { .. } => eprintln!("{}", sentence(event)),
        }
    }

    fn bar(&self, event: &Event) {
        let mut state = self.state();
        match event {
            Event::Stage { stage, shards, done } => {
                start(&mut state, stage, u64::from(*shards));
                if let Some(bar) = &state.bar {
                    bar.set_position(u64::from(*done));
                }
            }
            Event::Progress { stage, done, total, detail } => {
                if state.name != *stage || state.bar.is_none() {
                    start(&mut state, stage, *total);
                }
                if let Some(bar) = &state.bar {
                    bar.set_length(*total);
                    bar.set_position(*done);
                    bar.set_message(detail.clone());
                }
            }
            Event::Finished { .. } => {
                if let Some(bar) = state.bar.take() {
                    bar.finish_and_clear();
                }
                eprintln!("{}", sentence(event));
            }
            Event::Note { .. } => match &state.bar {
                Some(bar) => bar.suspend(|| eprintln!("{}", sentence(event))),
                None => eprintln!("{}", sentence(event)),
            },
        }
    }
}

fn start(state: &mut State, stage: &str, total: u64) {
    if let Some(bar) = state.bar.take() {
        bar.finish_and_clear();
    }
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {bar:32} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_prefix(stage.to_string());
    bar.enable_steady_tick(Duration::from_millis(250));
    state.name = stage.to_string();
    state.bar = Some(bar);
}

fn sentence(event: &Event) -> String {
    match event {
        Event::Finished { stage, summary, seconds } => format!("{stage:>12} ✓ {summary} in {seconds:.1} s"),
        Event::Note { text } => format!("{:>12} · {text}", ""),
        Event::Stage { stage, .. } | Event::Progress { stage, .. } => stage.clone(),
    }
}
