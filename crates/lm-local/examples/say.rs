//! Asks a model one question: `say MODEL QUESTION`.

use std::io::Write;
use std::path::Path;

use lm::{Generate, LanguageModel, Prompt};
use lm_local::{Config, LocalModel};
use weights::Checkpoint;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, question] = arguments.as_slice() else { panic!("usage: say MODEL QUESTION") };
    let checkpoint = Checkpoint::open(Path::new(path)).expect("a model");
    let model = LocalModel::load(&checkpoint, Config::default()).expect("loads");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let request = Generate::greedy(Prompt::ask(question), 128);
    let mut print = |delta: lm::Delta| {
        print!("{}", delta.text);
        std::io::stdout().flush().expect("a terminal");
    };
    let done = runtime.block_on(model.stream(request, &mut print)).expect("answers");
    println!("\n{:?}", done.usage);
}
