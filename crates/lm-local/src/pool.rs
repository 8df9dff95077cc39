//! The threads that carry out a step together, and the buffers that they share.
//!
//! All threads run the same code, phase after phase; [`Worker::each`] hands out a phase's units and
//! returns when all are done. A thread that the system has put aside holds nobody up unless it holds
//! a unit; it runs through the phases that it has missed when it comes back. Every number depends on
//! its row alone, so results are the same for any number of threads and any distribution of units.
//! Where results of the other threads are far away, threads may keep to rows of their own instead
//! ([`Worker::own`]) and wait for each other only where they must ([`Worker::meet`]).

use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// A buffer that threads write in disjoint parts within a phase.
///
/// Invariant that every user keeps: within a phase an element is written for one unit only and read
/// for no other, and no thread touches it without holding a unit. [`Worker::each`] gives no unit
/// twice and ends a phase only when all its units are done. What belongs to one thread's own rows
/// others touch only after the threads have met.
pub(crate) struct Shared<T> {
    cells: Box<[UnsafeCell<T>]>,
}

// SAFETY: access goes through the unsafe methods below, whose callers keep the invariant.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// Zeros come from the system without being touched.
    pub fn new(value: T, len: usize) -> Self {
        let cells = vec![value; len].into_boxed_slice();
        // SAFETY: `UnsafeCell<T>` has the layout of `T`, so the allocation's layout is the same.
        Self { cells: unsafe { Box::from_raw(Box::into_raw(cells) as *mut [UnsafeCell<T>]) } }
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Address of an element; for reading and writing under the type's invariant.
    pub fn at(&self, index: usize) -> *mut T {
        self.cells[index..].as_ptr().cast_mut().cast()
    }

    /// The elements of a range, for reading.
    ///
    /// # Safety
    /// No thread writes in the range while the slice lives.
    pub unsafe fn slice(&self, range: Range<usize>) -> &[T] {
        let cells = &self.cells[range];
        // SAFETY: `UnsafeCell<T>` has the layout of `T`; nobody writes, by contract.
        unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), cells.len()) }
    }

    /// The whole buffer, when no other thread can know it.
    pub fn get_mut(&mut self) -> &mut [T] {
        // SAFETY: the borrow is exclusive and `UnsafeCell<T>` has the layout of `T`.
        unsafe { std::slice::from_raw_parts_mut(self.cells.as_mut_ptr().cast(), self.cells.len()) }
    }
}

/// A counter alone in its pair of cache lines.
#[repr(align(128))]
struct Padded(AtomicUsize);

/// How far a phase has come.
#[repr(align(128))]
struct Phase {
    taken: AtomicUsize,
    done: AtomicUsize,
}

/// Work as the threads see it.
type Work<'a> = dyn Fn(&mut Worker<'_>) + Sync + 'a;

struct Common {
    /// Cleared before each piece of work, which uses each once.
    phases: Vec<Phase>,
    /// Number of the current work; workers wait for it to rise.
    turn: Padded,
    /// How many workers are through with it.
    through: Padded,
    work: AtomicPtr<&'static Work<'static>>,
    stop: AtomicBool,
    broken: AtomicBool,
    sleeping: Vec<AtomicBool>,
}

/// Rounds of waiting before a thread lets others run; machines are shared, so they come early.
const SPINS: usize = 1_000;
/// Rounds of letting others run before an idle worker sleeps, about a millisecond.
const YIELDS: usize = 2_000;

/// One thread within a piece of work.
pub(crate) struct Worker<'a> {
    common: &'a Common,
    /// Number of this thread, from 0.
    pub index: usize,
    pub count: usize,
    phase: usize,
    /// How long it has waited at the ends of phases, if somebody asks.
    pub waited: Option<Duration>,
}

impl Worker<'_> {
    /// Which of `count` things belong to this thread, where each does its own.
    pub fn own(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        (self.index..count).step_by(self.count)
    }

    /// A phase without units: returns when every thread has come to it. What was written before can
    /// be read afterwards.
    pub fn meet(&mut self) {
        if self.count > 1 {
            let phase = &self.common.phases[self.phase];
            self.phase += 1;
            phase.done.fetch_add(1, Ordering::AcqRel);
            self.wait(phase, self.count);
        }
    }

    fn wait(&mut self, phase: &Phase, done: usize) {
        let begin = self.waited.map(|_| Instant::now());
        let mut rounds = 0;
        while phase.done.load(Ordering::Acquire) < done {
            wait(&mut rounds);
            assert!(!self.common.broken.load(Ordering::Relaxed), "another thread of the pool panicked");
        }
        if let (Some(waited), Some(begin)) = (&mut self.waited, begin) {
            *waited += begin.elapsed();
        }
    }

    /// Works on a phase of `units` units, in spans of about a third of a thread's share and
    /// `grain` at most, together with the other threads; returns when all are done. What was written
    /// for a unit can be read afterwards.
    pub fn each(&mut self, units: usize, grain: usize, mut work: impl FnMut(Range<usize>)) {
        if self.count == 1 {
            work(0..units);
            return;
        }
        let common = self.common;
        let phase = &common.phases[self.phase];
        self.phase += 1;
        let grain = units.div_ceil(self.count * 3).clamp(1, grain);
        loop {
            let first = phase.taken.fetch_add(grain, Ordering::Relaxed);
            if first >= units {
                break;
            }
            let span = first..(first + grain).min(units);
            let len = span.len();
            work(span);
            phase.done.fetch_add(len, Ordering::Release);
        }
        self.wait(phase, units);
    }
}

fn wait(rounds: &mut usize) {
    *rounds += 1;
    if *rounds < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
}

/// A fixed number of threads; the caller is one of them.
pub(crate) struct Pool {
    common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
    /// Phases of the last work.
    used: usize,
}

impl Pool {
    /// Starts `count − 1` threads for work of at most `phases` phases.
    pub fn new(count: usize, phases: usize) -> std::io::Result<Self> {
        let padded = || Padded(AtomicUsize::new(0));
        let common = Arc::new(Common {
            phases: (0..phases).map(|_| Phase { taken: AtomicUsize::new(0), done: AtomicUsize::new(0) }).collect(),
            turn: padded(),
            through: padded(),
            work: AtomicPtr::new(std::ptr::null_mut()),
            stop: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            sleeping: (0..count).map(|_| AtomicBool::new(false)).collect(),
        });
        let mut pool = Self { common: common.clone(), threads: Vec::new(), used: 0 };
        for index in 1..count {
            let common = common.clone();
            let thread = std::thread::Builder::new().name(format!("lm-local-{index}"));
            pool.threads.push(thread.spawn(move || serve(&common, index, count))?);
        }
        Ok(pool)
    }

    /// How many threads work.
    pub fn count(&self) -> usize {
        self.threads.len() + 1
    }

    /// Runs `work` on every thread; returns when all are through. A panic in any thread comes out
    /// here, and after it the pool must not be used again.
    pub fn run(&mut self, work: &Work<'_>) {
        let count = self.count();
        // Every worker is through with the last work, so nobody looks at its phases any more.
        for phase in &self.common.phases[..self.used] {
            phase.taken.store(0, Ordering::Relaxed);
            phase.done.store(0, Ordering::Relaxed);
        }
        let mut reference: &Work<'_> = work;
        // The lifetime is dropped for the pointer's type only: this function returns after every
        // worker is through with the work.
        let pointer: *mut &Work<'_> = &mut reference;
        self.common.work.store(pointer.cast(), Ordering::Relaxed);
        self.common.through.0.store(0, Ordering::Relaxed);
        self.common.turn.0.fetch_add(1, Ordering::SeqCst);
        for (i, thread) in self.threads.iter().enumerate() {
            if self.common.sleeping[i + 1].load(Ordering::SeqCst) {
                unpark(thread.thread());
            }
        }
        let mut worker = Worker { common: &self.common, index: 0, count, phase: 0, waited: None };
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut worker)));
        self.used = worker.phase;
        if result.is_err() {
            self.common.broken.store(true, Ordering::SeqCst);
        }
        let mut rounds = 0;
        while self.common.through.0.load(Ordering::Acquire) < count - 1 {
            wait(&mut rounds);
        }
        if let Err(panic) = result {
            resume_unwind(panic);
        }
        assert!(!self.common.broken.load(Ordering::SeqCst), "a thread of the pool panicked");
    }
}

fn unpark(thread: &Thread) {
    thread.unpark();
}

fn serve(common: &Common, index: usize, count: usize) {
    let mut turn = 0;
    loop {
        let mut rounds = 0;
        while common.turn.0.load(Ordering::Acquire) == turn {
            if common.stop.load(Ordering::Relaxed) {
                return;
            }
            wait(&mut rounds);
            if rounds > SPINS + YIELDS {
                common.sleeping[index].store(true, Ordering::SeqCst);
                // Looked at again after saying so, or the call to wake up could be missed.
                if common.turn.0.load(Ordering::SeqCst) == turn && !common.stop.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                common.sleeping[index].store(false, Ordering::SeqCst);
            }
        }
        turn += 1;
        let pointer = common.work.load(Ordering::Relaxed).cast::<&Work<'_>>();
        // SAFETY: `Pool::run` stored it before it raised the turn, and keeps it alive until every
        // worker has raised `through`.
        let work = unsafe { *pointer };
        let mut worker = Worker { common, index, count, phase: 0, waited: None };
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut worker)));
        if result.is_err() {
            common.broken.store(true, Ordering::SeqCst);
        }
        common.through.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.common.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A worker that panicked has said so in `broken`; there is nothing left to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_done_once_in_every_phase() {
        for threads in [1, 2, 3] {
            let mut pool = Pool::new(threads, 10).expect("threads start");
            for _ in 0..20 {
                let counts: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
                pool.run(&|worker| {
                    for phase in 1..=10 {
                        worker.each(100, if phase % 2 == 0 { 1 } else { 100 }, |span| {
                            for unit in span {
                                // Units of the phase before this one are all done.
                                assert!(counts[99 - unit].load(Ordering::Relaxed) + 1 >= phase);
                                assert_eq!(counts[unit].fetch_add(1, Ordering::Relaxed) + 1, phase);
                            }
                        });
                    }
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 10));
            }
        }
    }

    #[test]
    fn a_panic_comes_out_and_stops_nobody_from_ending() {
        let mut pool = Pool::new(2, 2).expect("threads start");
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(&|worker| {
                worker.each(100, 1, |span| assert!(span.start != 50, "on purpose"));
                worker.each(2, 1, |_| {});
            });
        }));
        assert!(result.is_err());
        drop(pool);
    }
}
