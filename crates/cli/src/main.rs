//! `lyceum`: arguments in, settings resolved, the run room called, results printed.
//!
//! This is the only crate that prints or exits.

mod args;
mod context;
mod progress;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Verb};
use context::Context;

// Training and serving allocate many short-lived buffers; the system's allocator gives memory back
// to the kernel and pays for its first touch again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(unix)]
    heed_closed_output();
    let cli = Cli::parse();
    let context = Context::new(cli.shared);
    let result = match &cli.verb {
        Verb::Pull(arguments) => verbs::pull::run(arguments, &context),
        Verb::Synth(arguments) => verbs::synth::run(arguments, &context),
        Verb::Tasks(arguments) => verbs::tasks::run(arguments, &context),
        Verb::Learn(arguments) => verbs::learn::run(arguments, &context),
        Verb::Practise(arguments) => verbs::practise::run(arguments, &context),
        Verb::Exam(arguments) => verbs::exam::run(arguments, &context),
        Verb::Irt(arguments) => verbs::irt::run(arguments, &context),
        Verb::Compare(arguments) => verbs::compare::run(arguments, &context),
        Verb::Short(arguments) => verbs::short::run(arguments, &context),
        Verb::Grade(arguments) => verbs::grade::run(arguments, &context),
        Verb::Evolve(arguments) => verbs::evolve::run(arguments, &context),
        Verb::Report(arguments) => verbs::report::run(arguments, &context),
        Verb::Chat(arguments) => verbs::chat::run(arguments, &context),
        Verb::Generate(arguments) => verbs::generate::run(arguments, &context),
        Verb::Serve(arguments) => verbs::serve::run(arguments, &context),
        Verb::Lab(arguments) => verbs::lab::run(arguments, &context),
        Verb::Score(arguments) => verbs::score::run(arguments, &context),
        Verb::Scaling(arguments) => verbs::scaling::run(arguments, &context),
        Verb::Export(arguments) => verbs::export::run(arguments, &context),
        Verb::Validate(arguments) => verbs::validate::run(arguments, &context),
        Verb::Plan(arguments) => verbs::plan::run(arguments, &context),
        Verb::Cache(arguments) => verbs::cache::run(arguments, &context),
        Verb::Completions(arguments) => verbs::completions::run(arguments),
    };
    context.end();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// Prints `error:`, causes, `hint:` and gives the exit code.
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        // Errors that quote their cause in full need not say it twice.
        let text = cause.to_string();
        if !said.contains(&text) {
            eprintln!("  caused by: {text}");
            said = text;
        }
    }
    let run = error.chain().find_map(|e| e.downcast_ref::<run::Error>());
    if let Some(hint) = run.and_then(run::Error::hint) {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(run.map_or(1, run::Error::exit_code))
}

/// A closed output (`lyceum … | head`) ends the program quietly instead of by a panic; a connection
/// that a client or a server has closed is an error like any other, and no reason to end.
#[cfg(unix)]
fn heed_closed_output() {
    extern "C" fn closed(_: libc::c_int) {
        let output = |fd| libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
        let mut outputs = [output(libc::STDOUT_FILENO), output(libc::STDERR_FILENO)];
        // SAFETY: both calls are allowed in a signal's handler; the array is as long as poll is told.
        unsafe {
            libc::poll(outputs.as_mut_ptr(), 2, 0);
            if outputs.iter().any(|output| output.revents & (libc::POLLERR | libc::POLLHUP) != 0) {
                libc::_exit(128 + libc::SIGPIPE);
            }
        }
    }
    let handler: extern "C" fn(libc::c_int) = closed;
    // SAFETY: sets a signal's handler before any thread exists.
    unsafe {
        libc::signal(libc::SIGPIPE, handler as libc::sighandler_t);
    }
}
