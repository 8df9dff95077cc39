//! The real encoder beside PyTorch.

use std::path::PathBuf;

use encode::Encoder;
use lm::Embedder;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    text: String,
    vector: Vec<f32>,
}

fn encoder() -> Encoder {
    let cache = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| dirs::cache_dir().expect("a cache folder").join("lyceum"));
    Encoder::open(&cache.join("encoders/minilm")).expect("the encoder is in the cache; `lyceum pull minilm` fetches it")
}

fn goldens() -> Vec<Golden> {
    serde_json::from_str(include_str!("data/minilm-vectors.json")).expect("works")
}

#[tokio::test]
async fn real_vectors_are_those_of_pytorch() {
    let (encoder, goldens) = (encoder(), goldens());
    let texts: Vec<String> = goldens.iter().map(|golden| golden.text.clone()).collect();
    let vectors = encoder.embed(&texts).await.expect("works");
    assert_eq!((encoder.name(), encoder.dimension()), ("minilm", 384));
    for (golden, vector) in goldens.iter().zip(&vectors) {
        let off = golden.vector.iter().zip(vector).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(vector.len() == 384 && off < 1e-5, "{:?} is off by {off}", golden.text);
        let norm: f32 = vector.iter().map(|x| x * x).sum();
        assert!((norm - 1.0).abs() < 1e-5);
    }
    let similar = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum::<f32>();
    assert!(similar(0, 1) > 0.7 && similar(0, 6) < 0.2, "{} {}", similar(0, 1), similar(0, 6));
}

#[test]
fn real_vectors_do_not_depend_on_company_order_or_threads() {
    let encoder = encoder();
    let texts: Vec<String> = goldens().into_iter().map(|golden| golden.text).collect();
    let together = encoder.encode(&texts).expect("works");
    let backwards: Vec<String> = texts.iter().rev().cloned().collect();
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("works");
        let mut vectors = pool.install(|| encoder.encode(&backwards)).expect("works");
        vectors.reverse();
        assert_eq!(vectors, together);
    }
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(encoder.encode(std::slice::from_ref(text)).expect("works")[0], *vector);
    }
    assert!(encoder.encode(&[]).expect("works").is_empty());
}

#[test]
fn real_text_beyond_the_limit_is_not_read() {
    let encoder = encoder();
    let long = "lamp ".repeat(encode::MAX_TOKENS);
    let vectors = encoder.encode(&[long.clone(), format!("{long} and a hall"), "lamp ".repeat(100)]).expect("works");
    assert_eq!(vectors[0], vectors[1]);
    assert_ne!(vectors[0], vectors[2]);
}
