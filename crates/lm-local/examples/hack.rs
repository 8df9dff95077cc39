use std::path::Path;
use lm::*;
use lm_local::{Config, Kernels, LocalModel, Precision};
use weights::Checkpoint;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let checkpoint = Checkpoint::open(Path::new(&path)).expect("a model");
    let t = checkpoint.tokenizer.render_chat(&[Message::user("What is the capital of France?")]).unwrap();
    println!("{:?}", t);
    println!("{:?} eos {:?}", t.iter().map(|i| checkpoint.tokenizer.piece(*i)).collect::<String>(), checkpoint.tokenizer.eos);
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for p in [Precision::F32, Precision::Int8] { for rows in [256, 8, 1] {
        let m = LocalModel::load(&checkpoint, Config { precision: p, batch_rows: rows, ..Config::default() }).unwrap();
        let l = m.logits(&t, None).unwrap();
        let v = m.architecture().vocab;
        for r in [15, 16, 20, t.len()-1] {
        let last = &l[r*v..][..v];
        let mut o: Vec<usize> = (0..v).collect(); o.sort_by(|a,b| last[*b].total_cmp(&last[*a]));
        let s: Vec<String> = o[..4].iter().map(|i| format!("{:?} {:.3}", m.tokenizer().piece(*i as u32), last[*i])).collect();
        println!("{p:?} {rows} row {r} {s:?}"); }
        let g = rt.block_on(m.generate(Generate::greedy(Prompt::ask("What is the capital of France?"), 20))).unwrap();
        println!("{:?}", g.completions[0].text);
    }}
}
