//! What the cores are worth at this moment: how fast two threads meet, and int8 arithmetic of one
//! and of two threads. Where two virtual cores share a physical one, two threads do the work of one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A moment's figures.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Nanoseconds for two threads to meet, mean of many.
    pub barrier_ns: f64,
    /// 10⁹ int8 multiply-and-add operations a second (each counts two), one thread; 0 without VNNI.
    pub one: f64,
    /// The same on two threads together.
    pub two: f64,
}

/// Takes about a tenth of a second.
pub fn probe() -> Probe {
    let one = rate(1);
    Probe { barrier_ns: barrier(), one, two: rate(2) }
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { barrier_ns, one, two } = self;
        write!(f, "barrier {barrier_ns:.0} ns, int8 {one:.0} Gop/s on one thread, {two:.0} on two")
    }
}

/// 10⁹ bytes a second that `threads` threads read together of 256 MiB, the best of five.
pub fn read_rate(threads: usize) -> f64 {
    let memory = vec![1u64; 256 << 17];
    let round = || {
        let start = Instant::now();
        let sum: u64 = std::thread::scope(|scope| {
            let parts = memory.chunks(memory.len().div_ceil(threads));
            let workers: Vec<_> = parts.map(|part| scope.spawn(|| add_up(part))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum()
        });
        std::hint::black_box(sum);
        (memory.len() * 8) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..5).map(|_| round()).fold(0.0, f64::max)
}

/// In eight chains of eight, so that memory is what is waited for.
fn add_up(part: &[u64]) -> u64 {
    let mut sums = [0u64; 64];
    for line in part.as_chunks::<64>().0 {
        sums.iter_mut().zip(line).for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
    }
    sums.iter().fold(0, |a, b| a.wrapping_add(*b))
}

fn barrier() -> f64 {
    const ROUNDS: u64 = 20_000;
    let counters = [AtomicU64::new(0), AtomicU64::new(0)];
    let meet = |mine: &AtomicU64, other: &AtomicU64| {
        for round in 1..=ROUNDS {
            mine.store(round, Ordering::Release);
            let mut spins = 0u32;
            while other.load(Ordering::Acquire) < round {
                std::hint::spin_loop();
                spins += 1;
                // A thread that was sent off its core must not be waited for at full speed.
                if spins.is_multiple_of(1 << 14) {
                    std::thread::yield_now();
                }
            }
        }
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| meet(&counters[0], &counters[1]));
        meet(&counters[1], &counters[0]);
    });
    start.elapsed().as_nanos() as f64 / ROUNDS as f64
}

fn rate(threads: usize) -> f64 {
    const LOOPS: u64 = 2_000_000;
    let start = Instant::now();
    let operations: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(LOOPS))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum()
    });
    operations as f64 / start.elapsed().as_secs_f64() / 1e9
}

#[cfg(target_arch = "x86_64")]
fn work(loops: u64) -> u64 {
    if !std::arch::is_x86_feature_detected!("avx512vnni") {
        return 0;
    }
    // SAFETY: the processor has the instructions.
    unsafe { vnni(loops) }
}

#[cfg(not(target_arch = "x86_64"))]
fn work(_: u64) -> u64 {
    0
}

/// Twelve chains, more than latency times ports.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn vnni(loops: u64) -> u64 {
    use std::arch::x86_64::*;
    let (a, b) = (_mm512_set1_epi8(3), std::hint::black_box(_mm512_set1_epi8(1)));
    let mut sums = [_mm512_setzero_si512(); 12];
    for _ in 0..loops {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, a, b);
        }
    }
    std::hint::black_box(sums);
    loops * 12 * 128
}
